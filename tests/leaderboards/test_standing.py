"""Standings: what is claimed, what is tied and why, in words; and which rows never meet."""

import msgspec
import pytest

from converters.errors import BenchError
from leaderboards.section import Section
from leaderboards.standing import name, pairwise, standings
from leaderboards.summary import bounds, direction, ranked
from leaderboards.table import groups, rows

DICE, HD95, NSD = "dice:v1", "hd95:c6-bg-max:v1", "nsd@2mm:c6-bg-pooled:v1"


def dice(records):
    found, problems = groups(records)
    assert problems == []
    return standings(found, DICE)


def test_a_clear_difference_is_claimed_and_said(runs):
    found = dice([*runs("good", 0.9), *runs("bad", 0.8)])
    good, bad = found["good", ""], found["bad", ""]
    assert (good.rank, good.low, good.high, good.first) == (1, 1, 1, 1.0)
    assert (bad.rank, bad.low, bad.high, bad.first) == (2, 2, 2, 0.0)
    assert (good.beats, good.tied, good.verdict) == (("bad",), (), "better than bad")
    assert (bad.beats, bad.tied, bad.verdict) == ((), (), "worse than good")


def test_rows_that_cannot_be_told_apart_are_tied(runs):
    found = dice([*runs("one", 0.85), *runs("two", 0.85), *runs("low", 0.6)])
    assert found["one", ""].tied == ("two",) and found["two", ""].tied == ("one",)
    assert found["one", ""].verdict == "better than low; tied with two"
    assert found["low", ""].beats == ()
    assert (found["one", ""].low, found["one", ""].high) == (1, 2)


def test_equal_rows_share_the_best_rank(runs):
    twin = [msgspec.structs.replace(record, method="twin") for record in runs("one", 0.9, seeds=1)]
    found = dice([*runs("one", 0.9, seeds=1), *twin, *runs("low", 0.5, seeds=1)])
    assert [found[method, ""].rank for method in ("one", "twin", "low")] == [1, 1, 3]
    assert [found[method, ""].first for method in ("one", "twin", "low")] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(("rivals", "patients", "words"), [
    (2, 5, "cannot be told apart: 5 patients, 6 are needed for 1 pair"),
    (4, 4, "cannot be told apart: 4 patients, 8 are needed for 6 pairs"),
])  # fmt: skip
def test_too_few_patients_are_said_in_words(runs, rivals, patients, words):
    found = dice([r for i in range(rivals) for r in runs(f"m{i}", 0.9 - 0.1 * i, patients=patients)])
    assert {standing.verdict for standing in found.values()} == {words}
    assert all(standing.beats == () and len(standing.tied) == rivals - 1 for standing in found.values())


def test_enough_patients_carry_the_claim_that_too_few_could_not(runs):
    found = dice([r for i in range(4) for r in runs(f"m{i}", 0.9 - 0.1 * i, patients=8)])
    assert found["m0", ""].beats == ("m1", "m2", "m3")
    assert found["m0", ""].verdict == "better than m1, m2, m3"


def test_a_single_seed_is_no_ground_for_a_claim(runs):
    found = dice([*runs("good", 0.9, seeds=1), *runs("bad", 0.5, seeds=1)])
    assert found["good", ""].beats == () and found["good", ""].tied == ("bad",)
    assert found["good", ""].verdict.startswith("cannot be told apart: fewer than two rows have two seeds")
    assert "patients alone" in found["good", ""].verdict


def test_a_single_seed_among_rows_with_more_is_named(runs):
    found = dice([*runs("good", 0.9), *runs("bad", 0.8), *runs("lone", 0.3, seeds=1)])
    assert found["good", ""].verdict == "better than bad"
    assert found["lone", ""].tied == ("good", "bad")
    assert found["lone", ""].verdict == "single seed, no test"


def test_seeds_that_disagree_forbid_a_claim_that_the_patients_alone_would_make(make, valued):
    # Every patient says a > b by the seed means, but a second seed of each would turn it round.
    def method(which, levels):
        return [
            make(tuple(valued(f"p{i:03}", {DICE: level + i / 1000}) for i in range(20)), method=which, seed=s)
            for s, level in enumerate(levels)
        ]

    (pair,) = pairwise(groups([*method("a", (0.6, 0.9)), *method("b", (0.5, 0.8))])[0], DICE)
    assert pair.wilcoxon < 0.001 and pair.two_way > 0.05
    assert pair.better is None and (pair.low < 0 < pair.high)


def test_a_pair_says_what_its_claim_rests_on(runs):
    (pair,) = pairwise(groups([*runs("bad", 0.8), *runs("good", 0.9)])[0], DICE)
    assert (pair.a, pair.b, pair.better, pair.meaningful) == ("good", "bad", "good", True)
    assert (pair.patients, pair.seeds) == (12, (3, 3))
    assert pair.low < pair.difference < pair.high and pair.difference == pytest.approx(0.1, abs=0.01)
    assert pair.wilcoxon == pytest.approx(2 / 2**12)
    assert pair.two_way is not None and pair.two_way < 0.001
    assert pair.chance == 1.0


def test_holm_runs_over_all_pairs_of_the_section(runs):
    pairs = pairwise(groups([r for i in range(3) for r in runs(f"m{i}", 0.9 - 0.1 * i)])[0], DICE)
    # All three are as clear as twelve patients can be: 3 p, and no less for the others, which may not fall.
    assert [pair.wilcoxon for pair in pairs] == pytest.approx([3 * 2 / 2**12] * 3)


def test_less_is_better_for_a_distance(make, valued):
    def method(which, far):
        return [
            make(
                tuple(valued(f"p{i:03}", {HD95: far + i / 10 + s / 100}) for i in range(8)),
                method=which,
                seed=s,
            )
            for s in range(3)
        ]

    found, _ = groups([*method("near", 3.0), *method("far", 9.0)])
    (pair,) = pairwise(found, HD95)
    assert (pair.a, pair.better, pair.difference) == ("near", "near", pytest.approx(-6.0))
    assert pair.low < -6 < pair.high < 0 and pair.chance == 1.0
    assert standings(found, HD95)["near", ""].rank == 1


def test_a_failure_counts_in_the_rank_and_patient_by_patient_is_the_check(make, valued):
    # scoring.md 5: one 0.30 among nineteen 0.95 against twenty 0.93.
    a = make(tuple(valued(f"p{i:03}", {DICE: 0.3 if i == 0 else 0.95}) for i in range(20)), method="a")
    b = make(tuple(valued(f"p{i:03}", {DICE: 0.93}) for i in range(20)), method="b")
    found = dice([a, b])
    assert (found["b", ""].rank, found["a", ""].rank) == (1, 2)
    assert (found["a", ""].rank_then_mean, found["b", ""].rank_then_mean) == pytest.approx((1.05, 1.95))
    assert not found["a", ""].unstable  # by 0.95, not by more than one place


def test_a_row_that_patients_rank_elsewhere_is_flagged(make, valued):
    def method(which, level, worst):
        values = [worst if i == 0 else level for i in range(10)]
        return make(tuple(valued(f"p{i:03}", {DICE: v}) for i, v in enumerate(values)), method=which)

    found = dice(
        [method("brittle", 0.95, 0.0), method("x", 0.9, 0.9), method("y", 0.89, 0.89), method("z", 0.88, 0.88)]
    )
    brittle = found["brittle", ""]
    assert brittle.rank == 4 and brittle.rank_then_mean == pytest.approx(1.3) and brittle.unstable
    assert not found["z", ""].unstable


# Every field of Section, and a change of a record that changes this field.
CHANGES = {
    "dataset": {"dataset": "chaos-ct"},
    "content": {"digests": {"dataset": "ef" * 32, "split": "cd" * 32}},
    "split": {"split": "published"},
    "split_content": {"digests": {"dataset": "ab" * 32, "split": "ef" * 32}},
    "task": {"task": "value"},
    "fold": {"fold": 1},
    "definitions": {"definitions": {"protocol": "semi10:v1", "distances": "v2"}},
    "protocol": {"protocol": "full"},
    "protocol_version": {"definitions": {"protocol": "semi10:v2", "record": "1"}},
    "annotator": {"annotator": "simulated scribble"},
    "draw": {"draw": "seven-patients"},
    "selection": {"selection": "best"},
}


def test_every_field_of_a_section_is_tried():
    assert set(CHANGES) == set(Section.__struct_fields__)


@pytest.mark.parametrize("field", CHANGES)
def test_rows_of_different_sections_never_meet(runs, field):
    records = [*runs("good", 0.9), *runs("bad", 0.8, **CHANGES[field])]
    plain, other = (Section.of(record) for record in (records[0], records[-1]))
    assert [f for f in CHANGES if getattr(plain, f) != getattr(other, f)] == [field]
    made, problems = rows(records)
    assert (len(made), problems) == (2, [])
    assert all(row.standings == {} for row in made)
    with pytest.raises(BenchError, match="different sections"):
        standings(groups(records)[0], DICE)


def test_rows_of_one_section_do_meet(runs):
    made, _ = rows([*runs("good", 0.9), *runs("bad", 0.8)])
    assert [row.standings[DICE].rank for row in made] == [1, 2]
    assert set(made[0].standings) == {DICE, NSD}


def test_recipes_of_one_method_are_rows_of_their_own(runs):
    longer = {"train": {"steps": 200}}
    found = dice([*runs("m", 0.9), *runs("m", 0.5, recipe=longer)])
    assert found["m", "train.steps=100"].beats == ("m (train.steps=200)",)


def test_recipes_that_read_the_same_keep_different_names(make):
    there = {"seed": 0, "draw": "0", "train": {"steps": 100, "note": None}}
    text = {"seed": 0, "draw": "0", "train": {"steps": "100"}}
    found, _ = groups([make(), make(recipe=there), make(recipe=text)])
    assert len({name(group) for group in found}) == 3


def test_a_lone_row_and_a_single_patient_have_no_standing(runs):
    assert dice(runs("only", 0.9)) == {}
    assert dice([*runs("a", 0.9, patients=1), *runs("b", 0.8, patients=1)]) == {}
    made, _ = rows(runs("a", 0.9, patients=1))
    assert made[0].intervals == {}


def test_a_metric_without_a_direction_ranks_nobody(runs):
    with pytest.raises(BenchError, match="more rvd:v1 is better"):
        standings(groups(runs("a", 0.9))[0], "rvd:v1")


def test_the_order_of_records_changes_nothing(runs):
    records = [r for i in range(4) for r in runs(f"m{i}", 0.9 - 0.01 * i)]
    assert dice(records) == dice(records[::-1])
    assert pairwise(groups(records)[0], DICE) == pairwise(groups(records[::-1])[0], DICE)


def test_dice_and_the_most_lenient_nsd_rank():
    assert ranked(["nsd@10mm:a:v1", NSD, "nsd@1mm:a:v1", HD95, DICE, DICE]) == [DICE, "nsd@10mm:a:v1"]


@pytest.mark.parametrize(
    ("definition", "way", "limits"),
    [
        (DICE, 1, (0.0, 1.0)),
        (NSD, 1, (0.0, 1.0)),
        (HD95, -1, (0.0, float("inf"))),
        ("ravd:v1", -1, (0.0, float("inf"))),
        ("rvd:v1", 0, (float("-inf"), float("inf"))),
    ],
)
def test_which_way_is_better_and_how_far_it_goes(definition, way, limits):
    assert direction(definition) == way
    assert bounds(definition) == limits
