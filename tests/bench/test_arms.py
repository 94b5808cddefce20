"""A crossing of factors: effects by patient, volumes from the counts of slices, what an empty slice counts."""

from typing import NamedTuple

import pytest

from bench.arms import Crossing, difference, per_slice, per_volume, volumes
from leaderboards.record import CaseScore


class Arm(NamedTuple):
    """Two factors."""

    a: int
    b: int


class Ran(NamedTuple):
    """What a crossing reads of a record."""

    seed: int
    cases: tuple[CaseScore, ...]


def score(case, tp=0, fp=0, fn=0, status=None, subject=None):
    total = 2 * tp + fp + fn
    told = status or ("ok" if tp + fn and tp + fp else "missed" if fn else "false" if fp else "both_empty")
    return CaseScore(
        case=case, subject=subject or case, group=None, label="liver", status=told, tp=tp, fp=fp, fn=fn,
        diagonal_mm=100.0, touches_border=False, ignored=0, metrics={"dice:v1": 2 * tp / total if total else None},
    )  # fmt: skip


def value(cases):
    return {case.case: case.metrics["dice:v1"] for case in cases}


def test_a_volume_is_the_counts_of_its_slices():
    slices = [score("p-t1-000", 8, 2, 0), score("p-t1-001", 0, 0, 10), score("p-t1-002"), score("p-t2-000", 5, 5, 5)]
    first, second = volumes(slices)
    assert (first.case, first.subject, first.group, first.status) == ("p-t1", "p", "t1", "ok")
    assert (first.tp, first.fp, first.fn) == (8, 2, 10)
    assert first.metrics["dice:v1"] == 16 / 28 and second.metrics["dice:v1"] == 0.5
    assert per_volume("t1")(slices) == {"p": 16 / 28} and per_volume("t2")(slices) == {"p": 0.5}
    assert [each.status for each in volumes([score("q-t1-000"), score("q-t1-001")])] == ["both_empty"]
    assert [each.status for each in volumes([score("q-t1-000", fp=3)])] == ["false"]
    assert [each.status for each in volumes([score("q-t1-000", 1), score("q-t1-001", status="invalid")])] == ["invalid"]


def test_an_empty_slice_is_left_out_or_counts_what_is_said():
    slices = [score("p-t1-000", 9, 1, 1), score("p-t1-001"), score("p-t1-002", fp=4), score("p-t1-003", fn=4)]
    assert per_slice("t1")(slices) == {"p": pytest.approx(0.9 / 3)}
    assert per_slice("t1", empty=1.0)(slices) == {"p": pytest.approx(1.9 / 4)}
    assert per_slice("t1", only=frozenset({"p-t1-000"}))(slices) == {"p": 0.9}
    assert per_slice("t2")(slices) == {}


def test_an_effect_is_the_mean_over_pairs_by_patient():
    def ran(seed, *dice):
        return Ran(seed, tuple(score(f"p{n}", d, 0, 2 * (100 - d)) for n, d in enumerate(dice)))

    # Factor a adds 10 and 30 to the two patients where b is 0, nothing where it is 1.
    known = Crossing(
        [
            (Arm(0, 0), ran(0, 40, 50)),
            (Arm(1, 0), ran(0, 50, 80)),
            (Arm(0, 1), ran(0, 60, 60)),
            (Arm(1, 1), ran(0, 60, 60)),
        ]
    )
    got = {arm: value(by_seed[0].cases) for arm, by_seed in known.arms.items()}
    by_hand = [sum(got[Arm(1, b)][p] - got[Arm(0, b)][p] for b in (0, 1)) / 2 for p in ("p0", "p1")]
    found = known.effect("a", (0, 1), value)
    assert found.mean == pytest.approx(sum(by_hand) / 2) and (found.patients, found.pairs) == (2, 2)
    assert found.low < found.mean < found.high
    # Two patients: t with one degree of freedom, 12.706.
    half = 12.7062 * abs(by_hand[0] - by_hand[1]) / 2
    assert found.high - found.mean == pytest.approx(half, rel=1e-4)
    assert known.effect("b", (0, 2), value) is None
    assert known.mean(Arm(0, 0), value) == pytest.approx(sum(got[Arm(0, 0)].values()) / 2)


def test_only_patients_and_seeds_that_all_have_are_compared():
    one, other = {0: {"p": 0.5, "q": 0.9}, 1: {"p": 0.7}}, {0: {"p": 0.4}, 2: {"p": 0.1}}
    found = difference([(one, other)])
    assert found.mean == pytest.approx(0.1) and found.patients == 1 and found.low is None
    assert found.told == "+0.100"
    assert difference([(one, {3: {"p": 0.4}})]) is None
    assert difference([({0: {"p": 0.5}}, {0: {"q": 0.5}})]) is None
    assert difference([]) is None
