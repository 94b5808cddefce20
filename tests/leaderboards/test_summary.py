"""What the scorer's raw values count for: the policy of docs/metrics.md for every metric that is not a headline."""

import dataclasses

import msgspec
import numpy as np
import pytest

from bench import metrics, task_metrics
from bench.surface import measure, pair
from leaderboards import tasks
from leaderboards.summary import (
    DISTANCES,
    ERRORS,
    FOUND,
    HEADLINE,
    OVERLAPS,
    SHARES,
    bounds,
    counted,
    direction,
    family,
)

PRECISION, SENSITIVITY, RIM = "precision:v1", "sensitivity:v1", "boundary_iou@1mm:c6-bg:v1"
F1, LESIONS_FOUND, LESIONS_RIGHT = (f"lesion_{name}:c26:v1" for name in ("f1", "sensitivity", "precision"))
LOST = "volume_abs_error_ml:v1"


@pytest.fixture
def scored(score):
    """Makes a CaseScore of a structure of 1.9 mL in two parts that was really measured, with the status asked for."""

    def make(status):
        some, none = np.zeros((2, 20, 20, 20), np.uint8)
        some[5:15, 5:15, 0:10] = some[5:15, 5:15, 11:20] = 1
        maps = {"missed": (some, none), "false": (none, some), "invalid": (some, none), "both_empty": (none, none)}
        reference, prediction = maps.get(status, (some, some))
        measured = dataclasses.replace(measure(pair(reference, prediction, (1.0, 1.0, 1.0)), [1]), status=status)
        return msgspec.structs.replace(score(status=status), metrics=metrics.evaluate(measured, (1.0,)))

    return make


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ok", [1, 1, 1, 1, 1, 1, 0]),
        ("both_empty", [None] * 7),
        ("missed", [0, 0, 0, 0, 0, 0, 1.9]),
        ("false", [0, None, 0, 0, None, 0, 1.9]),
        ("invalid", [0, 0, 0, 0, 0, 0, 1.9]),
    ],
)
def test_further_metrics_count_the_worst_for_what_was_not_segmented(scored, status, expected):
    one = scored(status)
    names = (PRECISION, SENSITIVITY, RIM, F1, LESIONS_FOUND, LESIONS_RIGHT, LOST)
    assert [counted(one, name) for name in names] == [None if e is None else pytest.approx(e) for e in expected]


def test_an_invalid_case_without_the_structure_is_no_success(scored):
    one = scored("both_empty")
    empty = msgspec.structs.replace(one, status="invalid")
    assert [counted(empty, name) for name in (PRECISION, SENSITIVITY, RIM, F1)] == [0.0] * 4
    assert counted(empty, LOST) is None


def test_the_headline_is_what_it_always_was():
    assert sorted(HEADLINE - tasks.HEADLINE) == ["assd", "dice", "hd", "hd95", "iou", "masd", "nsd", "ravd"]


def test_a_perfect_score_lies_at_the_better_end_of_its_bounds(scored):
    one, lost = scored("ok"), scored("missed")
    judged = [name for name in one.metrics if direction(name)]
    assert {family(name) for name in judged} == OVERLAPS | DISTANCES | SHARES | FOUND | ERRORS | {"ravd"}
    for name in judged:
        least, most = bounds(name)
        assert one.metrics[name] == (most if direction(name) > 0 else least), name
        assert (counted(lost, name) - one.metrics[name]) * direction(name) < 0, name


def test_no_policy_is_about_a_metric_that_does_not_exist():
    known = {family(name) for name in metrics.DEFINITIONS}
    assert known >= SHARES | FOUND | ERRORS | HEADLINE - tasks.HEADLINE
    others = {family(name) for name in (*task_metrics.DEFINITIONS, tasks.AUC)}
    assert others >= tasks.HEADLINE | tasks.SHARES | tasks.HIGHER | tasks.LOWER | {*tasks.LEADING, *tasks.MEANINGS}
    assert not others & known
