"""The conversion driver: a raw folder as a user has it becomes datasets of the uniform format.

A source file finds and names the cases; geometry, checks, writing and digests are done here and in `conform.py`.
Cases are written one by one, dataset.json last: a folder without it is no dataset; running again goes on from there.
"""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from converters import card
from converters.conform import conform
from converters.dataset import Case
from converters.describe import CONVERTER
from converters.description import Source
from converters.errors import BenchError, UsageError, closest
from converters.files import is_junk, natural_key, safe_id
from converters.job import Job
from converters.phantoms.mark import is_phantom
from converters.source import Info, Options, RawCase, find, found
from converters.workers import each
from converters.written import discard, duplicates, intact

Progress = Callable[
    [str, int], AbstractContextManager[Callable[[int, int], None]]
]  # (label, total) -> advance(n, bytes)


NO_OPTIONS = Options()


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of one dataset."""

    root: Path
    name: str
    cases: int  # in the dataset now
    unchanged: int  # of these, found as an earlier conversion left them
    junk: tuple[str, ...]  # files of the raw folder that no dataset has, such as .DS_Store
    failures: list[BenchError]  # one per case that could not be converted


def convert(  # noqa: PLR0913  # three inputs, the options of the command line
    source: str,
    raw: Path,
    out: Path,
    *,
    options: Options = NO_OPTIONS,
    name: str | None = None,
    jobs: int = 1,
    skip: Collection[str] = (),
    progress: Progress | None = None,
) -> list[Report]:
    """Convert every dataset that the source finds in `raw` to `out/<name>`.

    A case that fails is reported and the others are converted; what an earlier conversion made of it stays.
    A second conversion of the same input writes no file.

    Args:
        source: name of a file of `converters/sources/`.
        raw: the folder as downloaded and unpacked.
        out: folder of datasets; made-up data goes to `phantom-<name>`.
        options: what the user tells the source.
        name: of the dataset, where the source finds one alone.
        jobs: cases converted at a time, each in a process of its own.
        skip: native ids, case ids or subjects to leave out.
        progress: gets (label, total), gives a bar to advance.

    Raises:
        UsageError: there is no such source, it does not understand an option, a name in `skip` fits no case, or `name`
            is to stand for several datasets.
        BenchError: `raw` holds nothing of the source, ids clash, or made-up and real cases are mixed.
    """
    there = sought(source, raw, options, name)
    _check_skip(skip, [case for _, cases in there for case in cases])
    junk = tuple(sorted(path.as_posix() for path in _relative_files(raw) if is_junk(path)))
    reports = []
    for info, cases in there:
        kept = [case for case in cases if not _names(case) & set(skip)]
        if kept:
            todo, nameless = _jobs(raw, out, _named(info, kept, raw), kept)
            reports.append(_run(todo, nameless, jobs, junk, progress))
    return reports


def sought(source: str, raw: Path, options: Options, name: str | None) -> list[tuple[Info, list[RawCase]]]:
    """What `raw` holds of the source, under the name that was asked for.

    Raises:
        UsageError: see `convert`.
        BenchError: there is no such folder, or nothing of the source in it.
    """
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
    if name is None:
        return there
    if len(there) > 1:
        several = ", ".join(info.name for info, _ in there)
        raise UsageError(f"one name, '{name}', for several datasets: {several}", mend="leave --name out")
    return [(dataclasses.replace(info, name=safe_id(name)), cases) for info, cases in there]


def _relative_files(raw: Path) -> Iterator[Path]:
    return (path.relative_to(raw) for path in raw.rglob("*") if path.is_file())


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


def _jobs(raw: Path, out: Path, info: Info, cases: Sequence[RawCase]) -> tuple[list[Job], dict[str, BenchError]]:
    """What is to be done, and an error for each native id that can be no name."""
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
    return jobs, nameless


def _run(
    todo: list[Job], nameless: dict[str, BenchError], jobs: int, junk: tuple[str, ...], progress: Progress | None
) -> Report:
    root, info = todo[0].root, todo[0].info
    for leftover in root.rglob(".*.tmp"):  # of a conversion that was killed
        leftover.unlink()
    done: dict[str, Case] = {}
    fresh: set[str] = set()
    failures = dict(nameless)
    bar = progress(info.name, len(todo)) if progress else contextlib.nullcontext(_ignore)
    with bar as advance:
        for index, result in each(conform, todo, jobs):
            job = todo[index]
            size = 0
            if isinstance(result, BenchError):
                failures[job.id] = _told(job, result)
                if (before := job.earlier()) is not None and intact(root, before):
                    done[job.id] = before
            else:
                done[job.id], size = result.case, result.bytes
                fresh |= {job.id} if result.written else set()
            advance(1, size)
    failures |= (doubled := _refuse_duplicates(todo, done))
    settled = (root / "dataset.json").is_file()
    for case in doubled:
        if case in fresh or not settled:  # a finished dataset keeps what it has
            discard(root, done.pop(case))
    if done:
        left_out = sorted(failures.keys() - done.keys(), key=natural_key)
        card.write(root, info, done.values(), CONVERTER, left_out)
    told = [failures[case] for case in sorted(failures, key=natural_key)]
    return Report(root, info.name, len(done), len(done.keys() - fresh), junk, told)


def _refuse_duplicates(todo: list[Job], done: dict[str, Case]) -> dict[str, BenchError]:
    """An error for each case with the voxels of another, unless the collection is known to hold the subjects twice."""
    known = [{safe_id(subject) for subject in subjects} for subjects in todo[0].info.copies]
    job_of = {job.id: job for job in todo}
    found = {}
    for ids in duplicates(done.values()):
        subjects = {done[case].subject for case in ids}
        if len(subjects) < len(ids) or subjects not in known:
            for case in ids:
                others = ", ".join(other for other in ids if other != case)
                error = BenchError(
                    f"the same voxels as {others}", mend="find out whose they are, and remove the copies"
                )
                found[case] = _told(job_of[case], error)
    return found


def _ignore(_: int, __: int) -> None:
    """Nobody watches."""


def _told(job: Job, error: BenchError) -> BenchError:
    """The error with the case, its place and the way to go on without it."""
    skip = f"leave it out with --skip {job.case.native_id}"
    return type(error)(
        f"{job.id}: {error.what}",
        where=error.where or job.case.files[0].parent,
        mend=f"{error.mend}; or {skip}" if error.mend else skip,
    )
