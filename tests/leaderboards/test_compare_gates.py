"""Two sets of records side by side: which gate judges, and what each gate lets pass."""

import msgspec
import numpy as np
import pytest
from compared import DICE, HD95, LIMITS, NSD, PATIENTS
from scipy import stats

from leaderboards import gate
from leaderboards.change import failed
from leaderboards.compare import compare
from leaderboards.gate import Limits, factor, one_sided, retrained
from leaderboards.tolerances import page as tolerance_page
from leaderboards.tolerances import tolerances


@pytest.fixture
def seeds(run):
    """Makes a record for each mean, one seed each, all patients alike."""
    return lambda means, **fields: [run([mean] * PATIENTS, seed=seed, **fields) for seed, mean in enumerate(means)]


def verdicts(base, new, limits=LIMITS):
    return {(one.metric, one.label): one.verdict for one in compare(base, new, limits)[0] if one.gate != "speed"}


def fixed(run, before, after):
    """What the gate of a fixed checkpoint says of Dice."""
    base, new = (run(values, digests={"model": "m"}) for values in (before, after))
    return {one.label: one for one in compare([base], [new], LIMITS)[0] if one.metric == DICE}


@pytest.mark.parametrize(("references", "new", "expected"), [(5, 1, 4.10), (5, 3, 2.74), (10, 1, 2.96), (10, 3, 1.86)])
def test_the_factors_are_those_of_the_t_distribution(references, new, expected):
    assert factor(references, new) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("new", [1, 3])
def test_other_seeds_of_the_same_method_fail_about_once_in_a_hundred(new):
    draws = np.random.default_rng(0).normal(0.7, 0.02, (4000, 5 + new))
    alarms = np.mean([retrained(draw[:5], draw[5:], LIMITS).regressed for draw in draws])
    assert 0.004 < alarms < 0.016


def test_a_drop_of_a_tenth_is_found_among_seeds_that_lie_0_02_apart():
    draws = np.random.default_rng(1).normal(0.7, 0.02, (500, 8))
    assert np.mean([retrained(draw[:5], draw[5:] - 0.1, LIMITS).regressed for draw in draws]) > 0.95


def test_seeds_that_agree_may_still_differ_by_delta():
    assert not retrained([0.7] * 5, [0.6985], LIMITS).regressed
    assert retrained([0.7] * 5, [0.6975], LIMITS).regressed


@pytest.mark.parametrize("seed", range(5))
def test_the_test_of_a_checkpoint_is_scipys(seed):
    drops = np.random.default_rng(seed).normal(0.01, 0.02, 12)
    assert one_sided(drops) == pytest.approx(stats.wilcoxon(drops, alternative="greater").pvalue)
    assert one_sided(drops[:4]) == pytest.approx(stats.ttest_1samp(drops[:4], 0, alternative="greater").pvalue)


def test_five_patients_who_moved_are_the_fewest_that_a_rank_test_can_tell():
    assert one_sided([0.01, 0.02, 0.03, 0.04, 0.05, *[0.0] * 10]) == pytest.approx(1 / 32)
    assert one_sided([0.3]) == 1.0
    assert one_sided([0.0] * 8) == 1.0
    assert one_sided([0.01] * 4) == 0.0
    assert one_sided([-0.01] * 4) == 1.0


def test_a_drop_below_delta_passes_however_sure_it_is(run):
    before = np.linspace(0.6, 0.9, PATIENTS)
    assert fixed(run, before, before)[""].verdict == "within"
    small = fixed(run, before, before - 0.001)[""]
    assert small.p < 0.01
    assert small.verdict == "within"
    assert fixed(run, before, before - 0.05)[""].verdict == "regressed"
    assert fixed(run, before, before + 0.05)[""].verdict == "improved"


def test_a_mean_that_fell_by_chance_passes(run):
    before = np.full(PATIENTS, 0.7)
    after = before + np.array([0.02, 0.02, 0.02, -0.03, -0.03, -0.03, 0.02, -0.02])
    found = fixed(run, before, after)[""]
    assert found.drop > gate.DELTA
    assert found.verdict == "within"


def test_one_patient_who_is_lost_is_no_chance(run):
    before = np.full(20, 0.9)
    after = before.copy()
    after[3] = 0.0
    found = fixed(run, before, after)[""]
    assert found.p > 0.05
    assert found.verdict == "regressed"
    assert found.why == "worse in 1 of 20 patients, at most by 0.900"


def test_a_label_cannot_hide_its_drop_in_the_mean(run):
    before = {name: np.linspace(0.6, 0.9, PATIENTS) for name in ("liver", "spleen", "kidney")}
    after = before | {"liver": before["liver"] - 0.02, "spleen": before["spleen"] + 0.03}
    found = fixed(run, before, after)
    assert found[""].verdict == "improved"
    assert found["liver"].verdict == "regressed"
    assert found["liver"].p == pytest.approx(3 * one_sided([0.02] * PATIENTS))  # Holm: the smallest of three
    assert found["kidney"].verdict == "within"


def test_a_structure_drawn_where_there_is_none_is_a_drop_of_that_patient(make, score):
    digests = {"dataset": "a", "split": "b", "model": "m"}
    base = make((score("p0", status="both_empty"), score("p1"), score("p2")), digests=digests | {"predictions": "1"})
    new = make((score("p0", status="false"), score("p1"), score("p2")), digests=digests | {"predictions": "2"})
    found = next(one for one in compare([base], [new], LIMITS)[0] if one.metric == DICE)
    assert found.drop == pytest.approx(1 / 3)
    assert found.verdict == "regressed"


def test_two_images_of_a_patient_are_one_patient(make, score):
    cases = [tuple(score(f"p{i}-{phase}", tp=tp) for i in range(3) for phase in ("ed", "es")) for tp in (8, 7)]
    digests = {"dataset": "a", "split": "b", "model": "m"}
    base, new = (make(of, digests=digests | {"predictions": str(i)}) for i, of in enumerate(cases))
    found = next(one for one in compare([base], [new], LIMITS)[0] if one.metric == DICE)
    assert found.why.startswith("worse in 3 of 3 patients")


def test_the_same_predictions_are_identical_at_once(run):
    same = {"predictions": "p"}
    base = run([0.7] * PATIENTS, digests=same)
    assert verdicts([base], [run([0.7] * PATIENTS, digests=same)])[DICE, ""] == "identical"


def test_the_same_predictions_with_other_scores_are_a_scorer_that_changed(run):
    same = {"predictions": "p"}
    base, new = run([0.7] * PATIENTS, digests=same), run([0.701] * PATIENTS, digests=same)
    found = compare([base], [new], LIMITS)[0][0]
    assert found.verdict == "regressed"
    assert "score differently" in found.why


def test_weights_decide_which_gate_judges(run, seeds):
    gates = []
    for model in ("m", "other"):
        base = seeds([0.70, 0.71, 0.69, 0.72, 0.70], digests={"model": "m"})
        gates.append(compare(base, [run([0.7] * PATIENTS, digests={"model": model})], LIMITS)[0][0].gate)
    assert gates == ["paired", "retrained"]


def test_foreign_predictions_of_one_seed_are_one_checkpoints(run):
    foreign = {"train": None, "recipe": {"predictions": "foreign"}}
    base, new = run([0.7] * PATIENTS, **foreign), run([0.6] * PATIENTS, **foreign)
    assert compare([base], [new], LIMITS)[0][0].gate == "paired"
    assert verdicts([base], [new])[DICE, ""] == "regressed"
    assert verdicts([base], [new], Limits(gate="retrained"))[DICE, ""] == "not gated"


def test_what_training_again_may_cost_is_learnt_from_the_seeds(seeds, run):
    base = seeds([0.70, 0.71, 0.69, 0.72, 0.68])
    limit = factor(5, 1) * np.std([0.70, 0.71, 0.69, 0.72, 0.68], ddof=1)
    assert verdicts(base, [run([0.7 - limit + 0.001] * PATIENTS)])[DICE, ""] == "within"
    assert verdicts(base, [run([0.7 - limit - 0.001] * PATIENTS)])[DICE, ""] == "regressed"
    assert verdicts(base, [run([0.7 + limit + 0.001] * PATIENTS)])[DICE, ""] == "improved"


def test_fewer_than_five_references_are_refused_unless_said(seeds, run):
    base, new = seeds([0.70, 0.71, 0.69]), [run([0.2] * PATIENTS)]
    found = compare(base, new, LIMITS)[0][0]
    assert (found.verdict, found.why) == ("not gated", "5 reference seeds are needed, 3 are there")
    assert verdicts(base, new, Limits(seeds=3))[DICE, ""] == "regressed"


def test_one_patient_is_not_gated(run):
    found = fixed(run, [0.9], [0.85])
    assert found[""].verdict == "not gated"


def test_distances_are_told_and_fail_nothing(run):
    base = run([0.7] * PATIENTS, digests={"model": "m"})
    new = msgspec.structs.replace(base, cases=_far(base), digests=base.digests | {"predictions": "other"})
    changes = compare([base], [new], LIMITS)[0]
    assert [(one.verdict, one.drop) for one in changes if one.metric == HD95] == [("told", 87.0)]
    assert failed(changes) == []


def test_seeds_that_were_not_predicted_again_are_in_no_number(run, seeds):
    base = seeds([0.70, 0.60, 0.50], digests={"model": "m"})
    base[0] = msgspec.structs.replace(base[0], cases=_far(base[0]))
    new = msgspec.structs.replace(base[0], machine={"cpu": "Other"})
    changes = compare(base, [new], LIMITS)[0]
    assert [(one.base, one.new, one.drop) for one in changes if one.metric == HD95] == [(90.0, 90.0, 0.0)]
    assert [one.base for one in changes if one.metric == DICE] == [pytest.approx(0.7)]


def _far(record):
    return tuple(msgspec.structs.replace(score, metrics=score.metrics | {HD95: 90.0}) for score in record.cases)


def test_tolerances_say_what_a_gate_can_see(seeds):
    means = [0.70, 0.71, 0.69, 0.72, 0.68]
    found = {one.metric: one for one in tolerances(seeds(means))[0]}
    assert set(found) == {DICE, NSD}
    assert found[DICE].seeds == 5
    assert found[DICE].three == pytest.approx(2.736 * np.std(means, ddof=1), rel=1e-3)
    assert "| acdc semi10 supervised | dice | 5 | 0.7000 | 0.0158 | 0.0649 | 0.0433 |" in tolerance_page(found.values())
    assert next(iter(tolerances(seeds([0.7]))[0])).one is None


def test_a_metric_without_a_value_has_no_tolerance(make, score):
    assert tolerances([make((score(status="both_empty"),))]) == ([], [])


def test_records_of_other_seeds_pass_and_those_of_a_lower_method_fail(seeds):
    rng = np.random.default_rng(3)

    def fails(drop):
        base, new = seeds(rng.normal(0.7, 0.015, 5)), seeds(rng.normal(0.7 - drop, 0.015, 3))
        return bool(failed(compare(base, new, LIMITS)[0]))

    assert sum(fails(0.0) for _ in range(60)) <= 2
    assert sum(fails(0.1) for _ in range(20)) >= 19
