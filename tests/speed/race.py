"""What a speed session found, as it is kept in docs/speed.json, and which of its limits it met."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from limits import Limit

from converters.files import Strict

OURS = "ours"


class Contender(Strict):
    """One way of doing what its group does; seconds are None where it did not run, and `absent` says why."""

    name: str
    does: str
    items: int | None = None  # where they are not those of its group
    median_s: float | None = None
    iqr_s: float | None = None
    rounds: int = 0
    peak_mib: float | None = None
    note: str = ""
    absent: str = ""
    time: float | None = None
    memory: float | None = None
    extra: float | None = None


class Group(Strict):
    """Contenders for one piece of work of so many items."""

    name: str
    items: int
    unit: str
    contenders: tuple[Contender, ...]


class Results(Strict):
    """A whole session: what ran where, and how long each file took."""

    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    seconds: dict[str, int]
    groups: tuple[Group, ...]


class Verdict(NamedTuple):
    """One limit: what it says, what was found, and whether that is enough (None: not measured)."""

    group: str
    contender: str
    claim: str
    found: float | None
    met: bool | None


def ratio(group: Group, contender: Contender, measure: str = "median_s") -> float | None:
    """What a contender takes, as a multiple of what ours takes."""
    ours = [getattr(one, measure) for one in group.contenders if one.name == OURS]
    mine = getattr(contender, measure)
    return mine / ours[0] if ours and ours[0] and mine is not None else None


def verdicts(group: Group) -> Iterator[Verdict]:
    """Every limit of a group."""
    for one in group.contenders:
        time, memory = ratio(group, one), ratio(group, one, "peak_mib")
        bounds = [
            ("time at least {:.3g} x ours", one.time, time, 1),
            ("memory at least {:.3g} x ours", one.memory, memory, 1),
            ("time at most {:.3g} x ours", one.extra, time, -1),
        ]
        for claim, bound, found, sign in bounds:
            if bound is not None:
                met = None if found is None else sign * found >= sign * bound
                yield Verdict(group.name, one.name, claim.format(bound), found, met)


def grouped(entries: Iterable[dict], limits: dict[str, dict[str, Limit]]) -> tuple[Group, ...]:
    """Entries of a session in the order in which they came, ours first, each with what is claimed of it.

    A contender of which something is claimed, and which was not entered, stands there as absent.
    """
    found: dict[str, list[dict]] = {}
    for entry in entries:
        found.setdefault(entry["group"], []).append(entry)
    return tuple(_group(name, members, limits.get(name, {})) for name, members in found.items())


def _group(name: str, entries: list[dict], claimed: dict[str, Limit]) -> Group:
    entered = {entry["name"] for entry in entries}
    first = entries[0]["items"]
    contenders = [
        Contender(
            **{key: entry[key] for key in entry.keys() - {"group", "items", "unit"}},
            items=entry["items"] if entry["items"] != first else None,
            **claimed.get(entry["name"], Limit())._asdict(),
        )
        for entry in sorted(entries, key=lambda one: one["name"] != OURS)
    ]
    contenders += [
        Contender(name=peer, does="not entered", absent="not entered", **limit._asdict())
        for peer, limit in claimed.items()
        if peer not in entered
    ]
    return Group(name=name, items=first, unit=entries[0]["unit"], contenders=tuple(contenders))
