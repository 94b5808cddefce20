"""What a method adds to its bound: the row of `supervised` that saw the same labels with the same settings."""

from typing import TYPE_CHECKING

from converters.files import digest
from leaderboards import statistics
from leaderboards.standing import Key, Scores
from leaderboards.statistics import Array
from leaderboards.summary import Interval
from leaderboards.variants import settings

if TYPE_CHECKING:
    from leaderboards.table import Group

BOUND = "supervised"
_OPTIONS = "train.options."


def gains(found: Scores) -> dict[Key, Interval]:
    """Of each row that has a bound in its section, the difference of its macro mean to the bound's.

    Positive where the row is better, whichever way the metric goes. The 95 % interval is over the patients they share,
    and over seeds where both rows have several; none below two patients.
    """
    if found.patients < 2:
        return {}
    bounds = {_setting(group): i for i, group in enumerate(found.groups) if _is_bound(group)}
    return {
        (group.method, group.variant): _gain(array, found.arrays[bounds[setting]])
        for group, array in zip(found.groups, found.arrays, strict=True)
        if group.method != BOUND and (setting := _setting(group)) in bounds
    }


def _gain(method: Array, bound: Array) -> Interval:
    estimate = statistics.difference(method, bound)
    low, high = estimate.bounds()
    return Interval(
        mean=float(estimate.mean),
        low=float(low),
        high=float(high),
        df=statistics.freedom(float(estimate.df)),
        seeds=min(method.shape[1], bound.shape[1]) > 1,
    )


def _is_bound(group: "Group") -> bool:
    return group.method == BOUND and not any(key.startswith(_OPTIONS) for key in settings(group.records[0]))


def _setting(group: "Group") -> str:
    """All that two rows must share to be one training but for the method."""
    shared = settings(group.records[0]).items()
    return digest({key: value for key, value in shared if key != "train.method" and not key.startswith(_OPTIONS)})
