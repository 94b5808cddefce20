"""Records -> rows: the policy of undefined scores, pooling, and which rows may meet."""

import statistics

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards.record import Cost, Record
from leaderboards.summary import counted, summarise
from leaderboards.table import rows

DICE, HD95, NSD = "dice:v1", "hd95:c6-bg-max:v1", "nsd@2mm:c6-bg-pooled:v1"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ok", (0.8, 3.0, 0.9)),
        ("missed", (0.0, 400.0, 0.0)),
        ("false", (0.0, 400.0, 0.0)),
        ("invalid", (0.0, 400.0, 0.0)),
        ("both_empty", (None, None, None)),
    ],
)
def test_an_undefined_score_counts_as_the_worst_or_not_at_all(score, status, expected):
    one = score(status=status)
    assert tuple(counted(one, definition) for definition in (DICE, HD95, NSD)) == expected


def test_a_missed_volume_is_off_by_all_of_it_and_a_false_one_has_no_reference(score):
    assert counted(score(status="missed"), "ravd:v1") == 100.0
    assert counted(score(status="false"), "ravd:v1") is None


def test_a_metric_without_a_rule_counts_as_measured(score):
    one = msgspec.structs.replace(score(status="false"), metrics={"fp_ml:v1": 12.5})
    assert counted(one, "fp_ml:v1") == 12.5


@pytest.mark.fault(75)
def test_absent_on_both_sides_is_left_out_and_counted(score, make):
    cases = (score("p1", tp=8), score("p2", status="both_empty"))
    made, _ = rows([make(cases)])
    assert made[0].macro[DICE].mean == 0.8
    assert (made[0].macro[DICE].n, made[0].subjects, made[0].both_empty) == (1, 2, 1)


@pytest.mark.fault(75)
def test_a_missed_organ_lowers_the_mean_and_is_counted(score, make):
    made, _ = rows([make((score("p1", tp=8), score("p2", status="missed")))])
    assert made[0].macro[DICE].mean == 0.4
    assert made[0].macro[HD95].mean == 201.5
    assert made[0].missed == 1


def test_cases_are_averaged_within_the_patient_first(score, make):
    cases = (score("p1-ed", tp=10), score("p1-es", tp=6), score("p2-ed", tp=2))
    made, _ = rows([make(cases)])
    assert made[0].macro[DICE].mean == pytest.approx((0.8 + 0.2) / 2)
    assert made[0].subjects == 2


def test_each_label_weighs_the_same_however_often_it_is_there(score, make):
    cases = (
        score("p1", "liver", tp=9),
        score("p2", "liver", tp=9),
        score("p1", "spleen", tp=3),
        score("p2", "spleen", status="both_empty"),
    )
    made, _ = rows([make(cases)])
    assert made[0].macro[DICE].mean == pytest.approx(0.6)
    assert made[0].labels["spleen"][DICE].mean == pytest.approx(0.3)


def test_seeds_and_draws_are_pooled_and_their_spread_is_shown(score, make):
    records = [
        make((score(tp=tp),), seed=seed, draw=draw) for seed, draw, tp in [(0, "0", 8), (1, "0", 6), (0, "1", 7)]
    ]
    made, problems = rows(records)
    assert not problems
    assert len(made) == 1
    assert made[0].macro[DICE].mean == pytest.approx(0.7)
    assert made[0].macro[DICE].sd == pytest.approx(statistics.stdev([0.8, 0.6, 0.7]))
    assert (made[0].seeds, made[0].draws, len(made[0].runs)) == (2, 2, 3)


def test_one_seed_has_no_spread(make):
    assert rows([make()])[0][0].macro[DICE].sd is None


@given(st.lists(st.integers(1, 10), min_size=1, max_size=30))
def test_quartiles_are_those_of_numpy(score, hits):
    summary = summarise([[score(f"p{i}", tp=tp) for i, tp in enumerate(hits)]], DICE)
    assert summary is not None
    expected = np.percentile([tp / 10 for tp in hits], [25, 50, 75])
    assert (summary.q1, summary.median, summary.q3) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "chaos-ct"},
        {"digests": {"dataset": "ef" * 32, "split": "cd" * 32}},
        {"split": "published"},
        {"protocol": "full"},
        {"definitions": {"protocol": "semi10:v2"}},
        {"definitions": {"protocol": "semi10:v1", "distances": "v2"}},
        {"annotator": "simulated scribble"},
        {"selection": "best"},
        {"draw": "seven-patients"},
        {"fold": 1},
        {"task": "value"},
        {"method": "mean_teacher"},
        {"recipe": {"seed": 1, "draw": "0", "train": {"steps": 200}}},
    ],
)
def test_what_differs_in_more_than_seed_and_hashed_draw_is_never_pooled(make, change):
    made, _ = rows([make(seed=0), make(seed=1, **change)])
    assert len(made) == 2


def test_another_metric_version_stands_in_another_table(make, score):
    newer = msgspec.structs.replace(score(), metrics={"dice:v2": 0.8})
    made, _ = rows([make(), make((newer,), seed=1)])
    assert len({row.section.table() for row in made}) == 2


def test_a_phantom_never_meets_the_real_dataset(make):
    made, _ = rows([make(dataset="phantom-acdc"), make(seed=1)])
    assert [row.section.dataset for row in made] == ["acdc", "phantom-acdc"]
    assert made[0].section.table() != made[1].section.table()


def test_rows_of_one_method_say_which_setting_sets_them_apart(make):
    longer = {"seed": 0, "draw": "0", "train": {"steps": 200}}
    made, _ = rows([make(), make(recipe=longer)])
    assert sorted(row.variant for row in made) == ["train.steps=100", "train.steps=200"]


def test_where_presets_meet_under_one_heading_every_row_says_its_own(make):
    of = {name: {"seed": 0, "draw": "0", "preset": name} for name in ("cpu", "quick")}
    foreign = make(method="theirs", recipe={"predictions": "foreign"})
    records = [make(recipe=of["cpu"]), make(method="gce", recipe=of["quick"]), foreign]
    other = make(dataset="chaos-ct", recipe=of["cpu"])  # a heading of its own
    made, _ = rows([*records, other])
    told = {(row.section.dataset, row.method): row.variant for row in made}
    assert told == {
        ("acdc", "supervised"): "preset=cpu",
        ("acdc", "gce"): "preset=quick",
        ("acdc", "theirs"): "predictions=foreign",
        ("chaos-ct", "supervised"): "",
    }


def test_settings_that_a_table_would_cut_alike_are_told_by_their_digest(make):
    made, _ = rows([make(recipe={"note": "x" * 90 + end}) for end in "ab"])
    assert all(row.variant.startswith("recipe ") for row in made)
    assert len({row.variant for row in made}) == 2


def test_a_run_done_twice_counts_once_and_is_named(make, score):
    made, problems = rows([make((score(tp=8),)), make((score(tp=7),))])
    assert len(made) == 1 and made[0].seeds == 1 and len(made[0].runs) == 1
    assert len(problems) == 1 and "counted once" in problems[0]


@pytest.mark.fault(76)
def test_a_record_that_scored_fewer_cases_than_its_rivals_is_left_out(make, score):
    whole = make((score("p1"), score("p2", tp=1)))
    made, problems = rows([whole, make((score("p1"),), method="gce")])
    assert [row.method for row in made] == ["supervised"]
    assert "1 of 2 scores" in problems[0] and "gce" in problems[0]


def test_costs_are_median_rate_all_seconds_by_all_cases_and_largest_memory(make):
    slow = {"seconds": 90.0, "items": 10, "items_per_s": 10.0, "peak_host_mib": 2000.0, "peak_device_mib": None}
    made, _ = rows([make(), make(seed=1, predict=Cost(**slow, batch=1, precision="fp32", segments=1))])
    assert made[0].train_items_per_s == 50.0
    assert made[0].seconds_per_case == 5.5
    assert (made[0].peak_host_mib, made[0].peak_device_mib) == (2000.0, None)


def test_rows_do_not_depend_on_the_order_of_records(make, score):
    records: list[Record] = [
        make((score(tp=tp),), seed=tp, method=m) for tp in (3, 8, 5) for m in ("gce", "supervised")
    ]
    assert rows(records) == rows(records[::-1])


def test_the_best_dice_comes_first_within_a_section(make, score):
    made, _ = rows([make((score(tp=5),), method="a"), make((score(tp=9),), method="b")])
    assert [row.method for row in made] == ["b", "a"]
