"""Datasets of one source, brought together by subject as the channels of one dataset on the grid of the first.

CHAOS T1 with T2, IXI T1 with T2 and PD. Labels and annotations are those of the first dataset; `docs/preparation.md`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, NoReturn

from converters.description import Channel
from converters.errors import BenchError, UsageError, unknown_name
from converters.source import Info, Loaded, RawCase
from converters.volume import Volume

Register = Literal["header", "rigid"]
Found = tuple[Info, list[RawCase]]

AIR = -1000.0  # HU
_MUCH = 20.0  # mm in the worst corner, between two examinations of one session: worth a look


class Way(NamedTuple):
    """How contrasts come onto one grid."""

    register: Register
    interpolation: str


def chosen(found: Sequence[Found], names: Sequence[str]) -> list[Found]:
    """The named datasets, in the order of the names.

    Raises:
        UsageError: there is none of that name here.
    """
    there = {info.name: (info, cases) for info, cases in found}
    for name in names:
        if name not in there:
            raise unknown_name("dataset", name, there)
    return [there[name] for name in names]


def joined(found: Sequence[Found], way: Way) -> Found:
    """The datasets as one. A subject that lacks one of them gets a case that says so instead of loading.

    Args:
        found: the datasets, the one with the grid and the labels first.
        way: how the others come onto its grid.

    Raises:
        UsageError: they are other persons', or do not go together.
    """
    (_, first), *others = found
    infos = [info for info, _ in found]
    _check(infos)
    for info, cases in others:
        if not {case.subject for case in cases} & {case.subject for case in first}:
            raise UsageError(
                f"{infos[0].name} and {info.name} have no subject in common: they are other persons'",
                mend="join datasets of the same persons",
            )
    members = [_member(case, first, infos, others, way) for case in first]
    return _info(infos), members + _without_first(infos[0], first, others)


def _check(infos: Sequence[Info]) -> None:
    first, *others = infos
    channels = [channel.name for info in infos for channel in info.channels]
    if twice := sorted({name for name in channels if channels.count(name) > 1}):
        raise UsageError(f"{', '.join(info.name for info in infos)} have the channel {twice[0]} in common")
    for info in others:
        if info.ndim != first.ndim:
            raise UsageError(f"{first.name} is {first.ndim}D, {info.name} {info.ndim}D")
        if len(first.labels) == 1 and len(info.labels) > 1:
            raise UsageError(
                f"{info.name} has labels, {first.name} has none; those of the first dataset are kept",
                mend=f"put {info.name} first",
            )


def _info(infos: Sequence[Info]) -> Info:
    first = infos[0]
    rest = " and ".join(info.name for info in infos[1:])
    drawn = any(len(info.labels) > 1 for info in infos[1:])
    lost = (f"labels are those of {first.name}; those drawn on {rest} are left out",) if drawn else ()
    warnings = (warning for info in infos for warning in info.warnings)
    return dataclasses.replace(
        first,
        name=_name([info.name for info in infos]),
        channels=tuple(channel for info in infos for channel in info.channels),
        copies=tuple(dict.fromkeys(group for info in infos for group in info.copies)),
        warnings=(*dict.fromkeys(warnings), *lost),
    )


def _member(
    case: RawCase, first: Sequence[RawCase], infos: Sequence[Info], others: Sequence[Found], way: Way
) -> RawCase:
    """The case with its partners, or one that says what it lacks."""
    partners: list[RawCase] = []
    alone = sum(one.subject == case.subject for one in first) == 1
    for info, cases in others:
        of_subject = [one for one in cases if one.subject == case.subject]
        same = [one for one in of_subject if one.native_id == case.native_id]
        fits = same or (of_subject if alone else [])
        if len(fits) != 1:
            what = f"has no {info.name}" if not of_subject else _several(case, info, len(of_subject))
            return dataclasses.replace(case, load=partial(_lacks, what))
        partners += fits
    meta = {key: value for one in (*reversed(partners), case) for key, value in one.meta.items()}
    files = tuple(dict.fromkeys(path for one in (case, *partners) for path in one.files))
    loads = tuple(one.load for one in (case, *partners))
    return dataclasses.replace(case, files=files, meta=meta, load=partial(_together, loads, tuple(infos), way))


def _several(case: RawCase, info: Info, count: int) -> str:
    return f"nobody says which of the {count} examinations of {case.subject} in {info.name} belongs to {case.native_id}"


def _without_first(info: Info, first: Sequence[RawCase], others: Sequence[Found]) -> list[RawCase]:
    """A case for every subject whom the first dataset lacks."""
    known = {case.subject for case in first}
    lacking: dict[str, RawCase] = {}
    for _, cases in others:
        for case in cases:
            if case.subject not in known:
                lacking.setdefault(case.subject, case)
    return [dataclasses.replace(case, load=partial(_lacks, f"has no {info.name}")) for case in lacking.values()]


def _lacks(what: str) -> NoReturn:
    raise BenchError(what, mend="add it to the raw folder")


def _together(loads: Sequence[Callable[[], Loaded]], infos: Sequence[Info], way: Way) -> Loaded:
    """The first case with the channels of the others, on its grid."""
    first = loads[0]()
    preparation, warnings = dict(first.preparation), list(first.warnings)
    images, acquisition = dict(first.images), dict(first.acquisition)
    for load, info in zip(loads[1:], infos[1:], strict=True):
        other = load()
        if not (first.spacing_known and other.spacing_known):
            raise BenchError("the files say nothing of millimetres, so nobody knows how the grids lie")
        moved, told, warned = _onto(first, other, info, way)
        images |= moved
        acquisition |= dict(other.acquisition)
        preparation |= dict(other.preparation) | told
        warnings += [*other.warnings, *warned]
        if other.label is not None and first.label is None:
            warnings.append(f"{info.name} has a label, {infos[0].name} has none: the case has none")
    return dataclasses.replace(
        first, images=images, acquisition=acquisition, preparation=preparation, warnings=tuple(dict.fromkeys(warnings))
    )


def _onto(
    first: Loaded, other: Loaded, info: Info, way: Way
) -> tuple[dict[str, Volume], dict[str, str | float], list[str]]:
    """The channels of another examination on the grid of the first, with what was done, and what to look at."""
    from converters.registration import covered, moved_mm, numbers, rigid
    from converters.resample import Rule, grid_of, onto

    fixed, moving = (next(iter(one.images.values())) for one in (first, other))
    told: dict[str, str | float] = {}
    warned: list[str] = []
    matrix = rigid(fixed, moving) if way.register == "rigid" else None
    if matrix is not None:
        told[f"matrix_{info.name}"] = numbers(matrix)
        told[f"moved_mm_{info.name}"] = moved = round(moved_mm(matrix, fixed), 3)
        if moved > _MUCH:
            warned.append(f"registration moved {info.name} by {moved:g} mm: look at it")
    elif way.register == "rigid":
        warned.append(f"registration found nothing that fits {info.name} better than its header")
    share = covered(fixed, moving, matrix)
    told[f"covered_{info.name}"] = round(share, 3)
    if not share:
        raise BenchError(
            f"{info.name} lies elsewhere: no voxel of the first dataset's grid is inside it",
            mend="look at the headers; one of the two examinations may have been moved",
        )
    rules = {channel.name: Rule(way.interpolation, outside(channel)) for channel in info.channels}
    images = {name: onto(volume, grid_of(fixed), rules[name], matrix) for name, volume in other.images.items()}
    return images, told, warned


def outside(channel: Channel) -> float:
    """What a channel holds where nothing was measured: air in CT, else 0."""
    return AIR if channel.modality == "CT" else 0.0


def _name(names: Sequence[str]) -> str:
    """The name of the joined dataset: what the names have in common, then what each adds. chaos-mr-t1-t2."""
    parts = [one.split("-") for one in names]
    shared = 0
    while all(len(one) > shared + 1 for one in parts) and len({one[shared] for one in parts}) == 1:
        shared += 1
    return "-".join([*parts[0][:shared], *("-".join(one[shared:]) for one in parts)])
