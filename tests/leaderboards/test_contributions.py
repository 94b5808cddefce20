"""Contributions of patients and repeats: their mean is the published one; intervals made of them."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.contributions import contributions, interval, tabulate
from leaderboards.standing import pairwise, scores
from leaderboards.summary import Cells, summarise
from leaderboards.table import groups, rows

DICE, HD95 = "dice:v1", "hd95:c6-bg-max:v1"


@pytest.fixture(scope="session")
def patchy(valued):
    """Makes repeats in which organs are absent from some patients, and falsely found by some seeds."""

    def repeats(seed, patients=7, seeds=3, labels=("liver", "spleen", "kidney")):
        random = np.random.default_rng(seed)
        absent = random.random((patients, len(labels))) < 0.4
        absent[0] = False
        return [
            tuple(
                valued(f"p{i:03}", {DICE: float(random.random())}, label, _status(random, absent[i, column]))
                for i in range(patients)
                for column, label in enumerate(labels)
            )
            for _ in range(seeds)
        ]

    return repeats


def _status(random, absent):
    return random.choice(["both_empty", "false"]) if absent else "ok"


def table_of(repeats):
    table = tabulate(repeats, DICE)
    return contributions(table, table.subjects)


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=50)
def test_contributions_average_to_the_published_mean(patchy, seed, seeds):
    repeats = patchy(seed, seeds=seeds)
    summary = summarise(repeats, DICE)
    found = table_of(repeats)
    assert found.shape == (summary.n, seeds)
    assert found.mean() == pytest.approx(summary.mean, abs=1e-12)


def test_contributions_of_complete_data_are_the_means_over_labels(valued):
    values = np.random.default_rng(0).random((5, 3, 2))
    repeats = [
        [valued(f"p{i}", {DICE: float(values[i, c, s])}, f"organ{c}") for i in range(5) for c in range(3)]
        for s in range(2)
    ]
    assert table_of(repeats) == pytest.approx(values.mean(1))
    assert table_of(repeats).mean(0).std(ddof=1) == pytest.approx(summarise(repeats, DICE).sd)


def test_contributions_are_the_slope_of_the_macro_mean():
    # One patient more with the same organs moves the mean by (z - mean) / C, to first order: the slope.
    rng = np.random.default_rng(1)
    has = [("liver", "spleen"), ("liver",), ("liver", "spleen"), ("spleen",), ("liver",), ("liver", "spleen")]
    cells = {(organ, f"p{i}"): float(rng.random()) for i, organs in enumerate(has) for organ in organs}
    subjects, organs = tuple(f"p{i}" for i in range(6)), ("liver", "spleen")
    values = np.array([[[[cells.get((organ, subject), np.nan)] for subject in subjects] for organ in organs]])
    found = contributions(Cells((DICE,), organs, subjects, values), subjects)[:, 0]
    for i in range(6):
        weights = np.ones(6)
        weights[i] += 1e-6
        moved = statistics.fmean(
            np.average([v for (o, _), v in cells.items() if o == organ],
                       weights=[weights[int(p[1:])] for o, p in cells if o == organ])
            for organ in ("liver", "spleen")
        )  # fmt: skip
        assert (moved - found.mean()) / 1e-6 * 6 == pytest.approx(found[i] - found.mean(), abs=1e-4)


def test_cases_of_one_patient_are_one_patient(make, valued):
    cases = tuple(valued(f"p{i:03}-{phase}", {DICE: 0.5 + i / 100}) for i in range(6) for phase in ("ed", "es"))
    made, _ = rows([make(cases)])
    assert made[0].intervals[DICE].df == pytest.approx(5)


def test_an_interval_stays_within_what_the_metric_can_be(make, valued):
    cases = tuple(valued(f"p{i:03}", {DICE: v, HD95: w}) for i, (v, w) in enumerate([(1.0, 0.0), (0.2, 30.0)]))
    found = rows([make(cases)])[0][0].intervals
    assert (found[DICE].low, found[DICE].high) == (0.0, 1.0)
    assert found[HD95].low == 0.0 and found[HD95].high > 30
    assert not found[DICE].seeds


def test_intervals_say_whether_they_hold_seeds(runs):
    many, one = rows(runs("a", 0.9))[0][0], rows(runs("a", 0.9, seeds=1))[0][0]
    assert many.intervals[DICE].seeds and not one.intervals[DICE].seeds
    assert many.intervals[DICE].mean == pytest.approx(many.macro[DICE].mean)


def test_nothing_that_varies_has_no_degrees_of_freedom(make, valued):
    found = interval([[valued(f"p{i}", {DICE: 0.5}) for i in range(4)]], DICE)
    assert (found.mean, found.low, found.high, found.df) == (0.5, 0.5, 0.5, None)


def test_one_who_finds_an_absent_organ_is_paired_with_one_who_does_not(make, valued):
    # The organ of p001 is absent: left out for the careful, 0 for the careless.
    def method(which, status):
        return make(
            tuple(valued(f"p{i:03}", {DICE: 0.8}, status=status if i == 1 else "ok") for i in range(4)),
            method=which,
        )

    found, _ = groups([method("careful", "both_empty"), method("careless", "false")])
    (pair,) = pairwise(found, DICE)
    assert (pair.a, pair.patients, pair.difference) == ("careful", 4, pytest.approx(0.2))
    assert scores(found, DICE).patients == 4
