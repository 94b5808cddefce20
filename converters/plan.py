"""What a conversion will do: the datasets that were asked for, under their names, as one job a case."""

import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from converters.description import Source
from converters.errors import BenchError, EnvironmentFault, UsageError, closest
from converters.files import natural_key, safe_id
from converters.job import Job
from converters.join import Found, chosen
from converters.phantoms.mark import is_phantom
from converters.preparation import NOTHING, Preparation, applied
from converters.source import Info, Options, RawCase, find, found

# Written bytes for a source byte, at the least: 78 slices of 41 MB gave 18 MB; what is packed stays as it is.
_SHRINKS, _PACKED = 0.4, {".gz", ".png", ".gif", ".jpg", ".jpeg"}

NO_OPTIONS = Options()


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a user asks for beside the source and its folder."""

    options: Options = NO_OPTIONS
    preparation: Preparation = NOTHING
    only: Collection[str] = ()  # of the datasets found
    name: str | None = None  # of the dataset, where there is one alone
    skip: Collection[str] = ()  # native ids, case ids or subjects


@dataclasses.dataclass(frozen=True)
class Plan:
    """One dataset to be written."""

    info: Info
    root: Path
    todo: list[Job]  # in natural order
    nameless: dict[str, BenchError]  # by native id: cases that no file can be named after
    need: int  # bytes that will be written, at the least; an estimate from the source files of what is not there yet


def plan(source: str, raw: Path, out: Path, wanted: Wanted) -> list[Plan]:
    """What is to be done for every dataset that was asked for and has cases.

    Raises:
        UsageError: there is no such source, it does not understand an option, a name to skip, pick or join fits
            nothing, the preparation makes no sense, or one name is to stand for several datasets.
        BenchError: `raw` holds nothing of the source, ids clash, or made-up and real cases are mixed.
    """
    there = _found(source, raw, wanted.options)
    native = [info.name for info, _ in there]
    if wanted.only:
        there = chosen(there, tuple(wanted.only))
    there = _renamed(applied(there, wanted.preparation), native, wanted)
    _check_skip(wanted.skip, [case for _, cases in there for case in cases])
    skip = set(wanted.skip)
    kept = [(info, [case for case in cases if not _names(case) & skip]) for info, cases in there]
    return [planned(raw, out, (_named(info, cases, raw), cases)) for info, cases in kept if cases]


def check_room(out: Path, plans: Sequence[Plan]) -> None:
    """Refuse to begin what cannot end.

    Raises:
        EnvironmentFault: a folder with something to write cannot be written to, or the disk has less room than the
            estimate; names both.
    """
    for there in (_there(one.root) for one in plans if one.need):
        if not os.access(there, os.W_OK | os.X_OK):
            raise EnvironmentFault(
                "you may not write here", where=there, mend="give a folder of your own, or ask whoever owns this one"
            )
    need = sum(one.need for one in plans)
    have = shutil.disk_usage(_there(out)).free
    if have < need:
        raise EnvironmentFault(
            f"the disk has {have / 1e6:.0f} MB free; about {need / 1e6:.0f} MB will be written at the least",
            where=out,
            mend="free some space, or convert to another disk",
        )


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.exists())


def _found(source: str, raw: Path, options: Options) -> list[Found]:
    find(source)
    if not raw.is_dir():
        raise BenchError("there is no such folder", where=raw, mend="give the folder that holds the unpacked download")
    there = found(source, raw, options)
    if not there:
        raise BenchError(
            f"no {source} data here",
            where=raw,
            mend=f"give the folder that holds its native layout (head of converters/sources/{source}.py)",
        )
    return there


def _renamed(there: list[Found], native: Sequence[str], wanted: Wanted) -> list[Found]:
    if wanted.name is not None and len(there) > 1:
        several = ", ".join(info.name for info, _ in there)
        raise UsageError(
            f"one name, '{wanted.name}', for several datasets: {several}",
            mend="leave --name out, or pick one with --only",
        )
    if wanted.name is not None:
        there = [(dataclasses.replace(info, name=safe_id(wanted.name)), cases) for info, cases in there]
    if wanted.preparation.steps and (taken := [info.name for info, _ in there if info.name in native]):
        raise UsageError(f"'{taken[0]}' is the dataset on its native grid", mend="give what is prepared another --name")
    return there


def _names(case: RawCase) -> set[str]:
    return {case.native_id, case.subject} | ({safe_id(case.native_id)} if _nameless(case, None) is None else set())


def _nameless(case: RawCase, where: Path | None) -> BenchError | None:
    """Why no file can have the name of this case, if so."""
    try:
        safe_id(case.native_id, where=where)
    except BenchError as error:
        return error
    return None


def _check_skip(skip: Collection[str], cases: Sequence[RawCase]) -> None:
    known = sorted(set().union(*(_names(case) for case in cases)))
    for name in skip:
        if name not in known:
            near = closest(name, known)
            raise UsageError(f"no case '{name}' to skip", mend=f"did you mean '{near}'?" if near else None)


def _named(info: Info, cases: Sequence[RawCase], raw: Path) -> Info:
    """The same for real data; `phantom-...` for made-up data, so that it never enters a table of the real dataset."""
    marks = {case.native_id: is_phantom(case.files[0]) for case in cases if case.files[0].is_file()}
    if not any(marks.values()):
        return info
    if not all(marks.values()):
        real = next(name for name, mark in marks.items() if not mark)
        raise BenchError(
            f"made-up and real cases are mixed: {real} bears no phantom mark, others do",
            where=raw,
            mend="keep phantoms and real data in folders of their own",
        )
    return dataclasses.replace(
        info,
        name=f"phantom-{info.name}",
        licence="CC0-1.0",
        citation="made up by `bench phantom`: nobody's anatomy, not to be cited",
        source=Source(collection=f"frugalseg phantoms in the layout of {info.name}"),
    )


def planned(raw: Path, out: Path, found: Found) -> Plan:
    """What is to be done for one dataset; `raw` is what the paths of source files are told from.

    Raises:
        BenchError: ids clash, no case has a name a file can have, or the folder holds other cases.
    """
    info, cases = found
    root = out / info.name
    nameless = {case.native_id: error for case in cases if (error := _nameless(case, raw)) is not None}
    sound = [case for case in cases if case.native_id not in nameless]
    if not sound:
        raise next(iter(nameless.values()))
    jobs = sorted((Job(raw, root, info, case) for case in sound), key=lambda job: natural_key(job.id))
    count = Counter(job.id for job in jobs)
    if clash := [job.case.native_id for job in jobs if count[job.id] > 1]:
        raise BenchError(f"several cases would have one id: {', '.join(clash)}", where=raw, mend="rename all but one")
    there = {path.stem for path in (root / "cases").glob("*.json")}
    if strangers := sorted(there - set(count), key=natural_key):
        raise BenchError(
            f"the folder holds {len(strangers)} cases that are not in the source: {', '.join(strangers[:5])}",
            where=root,
            mend="remove the folder, or convert to another one",
        )
    return Plan(info, root, jobs, nameless, sum(_need(job) for job in jobs if job.id not in there))


def _need(job: Job) -> int:
    sizes = {path: path.stat().st_size for path in job.case.files if path.is_file()}
    return sum(size if path.suffix.lower() in _PACKED else int(_SHRINKS * size) for path, size in sizes.items())
