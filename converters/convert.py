"""The conversion driver: a raw folder as a user has it becomes datasets of the uniform format.

A source file finds and names the cases; geometry, checks, writing and digests are done here and in `conform.py`.
Cases are written one by one, dataset.json last: a folder without it is no dataset; running again goes on from there.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path

from converters import card
from converters.conform import conform
from converters.dataset import Case
from converters.describe import CONVERTER
from converters.errors import BenchError, EnvironmentFault
from converters.files import is_junk, natural_key, safe_id
from converters.job import Job
from converters.lock import locked
from converters.plan import NO_OPTIONS, Plan, Wanted, check_room, plan
from converters.preparation import NOTHING, Preparation
from converters.source import Options
from converters.workers import each
from converters.written import discard, duplicates, intact

Progress = Callable[
    [str, int], AbstractContextManager[Callable[[int, int], None]]
]  # (label, total) -> advance(n, bytes)


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
    preparation: Preparation = NOTHING,
    only: Collection[str] = (),
    name: str | None = None,
    skip: Collection[str] = (),
    jobs: int = 1,
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
        preparation: resampling and the like; nothing by default.
        only: names of the datasets to take, of those found.
        name: of the dataset, where there is one alone.
        skip: native ids, case ids or subjects to leave out.
        jobs: cases converted at a time, each in a process of its own.
        progress: gets (label, total), gives a bar to advance.

    Raises:
        UsageError: see `plan`.
        BenchError: see `plan`.
        EnvironmentFault: see `check_room`; or another process is at work in a folder.
    """
    plans = plan(source, raw, out, Wanted(options, preparation, only, name, skip))
    check_room(out, plans)
    relative = (path.relative_to(raw) for path in raw.rglob("*") if path.is_file())
    junk = tuple(sorted(path.as_posix() for path in relative if is_junk(path)))
    return [write(one, jobs, junk, progress) for one in plans]


def write(one: Plan, jobs: int = 1, junk: tuple[str, ...] = (), progress: Progress | None = None) -> Report:
    """Write one dataset as planned; see `convert`.

    Raises:
        EnvironmentFault: another process is at work in the folder.
    """
    with locked(one.root):
        report = _run(one, jobs, junk, progress)
    _tidy(one.root)
    return report


def _tidy(root: Path) -> None:
    """Take away the folders that nothing came into."""
    for folder in sorted((path for path in (root, *root.rglob("*")) if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _run(planned: Plan, jobs: int, junk: tuple[str, ...], progress: Progress | None) -> Report:
    root, info, todo = planned.root, planned.info, planned.todo
    for leftover in root.rglob(".*.tmp"):  # of a conversion that was killed
        leftover.unlink(missing_ok=True)
    done: dict[str, Case] = {}
    fresh: set[str] = set()
    failures = dict(planned.nameless)
    bar = progress(info.name, len(todo)) if progress else contextlib.nullcontext(_ignore)
    with bar as advance:
        for index, result in each(conform, todo, jobs):
            job = todo[index]
            size = 0
            if isinstance(result, BenchError):
                failures[job.id] = _told(job, result)
                if (before := _kept(job)) is not None:
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


def _kept(job: Job) -> Case | None:
    """What an earlier conversion made of a case that fails now; where that was damaged since, nothing of it is left."""
    before = job.earlier()
    if before is None or intact(job.root, before):
        return before
    with contextlib.suppress(OSError):  # the folder may be read-only
        discard(job.root, before)
    return None


def _refuse_duplicates(todo: list[Job], done: dict[str, Case]) -> dict[str, BenchError]:
    """An error for each case with the voxels of another, unless the collection is known to hold the subjects twice."""
    known = [{safe_id(subject) for subject in subjects} for subjects in todo[0].info.copies]
    job_of = {job.id: job for job in todo}
    found = {}
    for ids in duplicates(done.values()):
        subjects = {done[case].subject for case in ids}
        if len(subjects) < len(ids) or subjects not in known:
            for case in ids:
                others = [other for other in ids if other != case]
                more = f" and {len(others) - 5} more" if len(others) > 5 else ""
                error = BenchError(
                    f"the same voxels as {', '.join(others[:5])}{more}",
                    mend="find out whose they are, and remove the copies",
                )
                found[case] = _told(job_of[case], error)
    return found


def _ignore(_: int, __: int) -> None:
    """Nobody watches."""


def _told(job: Job, error: BenchError) -> BenchError:
    """The error with the case, its place and the way to go on without it, if that is what is wrong."""
    skip = None if isinstance(error, EnvironmentFault) else f"leave it out with --skip {job.case.native_id}"
    return type(error)(
        f"{job.id}: {error.what}",
        where=error.where or job.case.files[0].parent,
        mend="; or ".join(filter(None, (error.mend, skip))) or None,
    )
