"""Records -> a folder of static pages: one per dataset and protocol, one per run, and everything as JSON."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from converters.alive import sweep
from converters.errors import BenchError
from converters.files import canonical_json, inside
from leaderboards import forked
from leaderboards.collect import Collected
from leaderboards.site import pages, runs
from leaderboards.site.content import Content, Extras
from leaderboards.site.page import ASSETS, HERE

RESULTS = "results.json"
FORMAT = "frugalseg site 1"

Files = dict[str, bytes]
Page = Callable[[], Files]
Written = Iterable[tuple[int, None]]  # a number for each page
Track = Callable[[Written, int], Written]  # the same; may tell a person how far it is


def build(
    found: Collected, out: Path, extras: Extras | None = None, track: Track = lambda written, total: written
) -> int:
    """Write the site whole or not at all; how many pages it has. The same records give the same bytes.

    A site that lies there already is replaced.

    Raises:
        BenchError: no record can stand in a table, or `out` holds something that is no site.
    """
    content = Content(found, extras or Extras())
    if not content.rows:
        raise BenchError("no record to make pages of", mend="bench run ..., or name the folder of the runs")
    made = _pages(content)
    with _replacing(out) as folder:
        for name in ASSETS:
            _put(folder, f"assets/{name}", (HERE / "assets" / name).read_bytes())
        _put(folder, RESULTS, canonical_json(_results(content)))
        write = partial(_write, folder, made)
        written = forked.each(write, len(made), forked.jobs(len(content.records)))
        for _ in track(written, len(made)):
            pass
    return len(made)


def _write(folder: Path, made: Sequence[Page], number: int) -> None:
    for path, data in made[number]().items():
        _put(folder, path, data)


def _pages(content: Content) -> list[Page]:
    made: list[Page] = [partial(pages.index, content)]
    for dataset, protocols in content.datasets.items():
        made.append(partial(pages.dataset, content, dataset))
        made += [partial(pages.protocol, content, dataset, protocol) for protocol in protocols]
    return made + [partial(runs.run, content, record) for record in content.records]


def _results(content: Content) -> dict[str, object]:
    return {
        "format": FORMAT,
        "rows": content.rows,
        "runs": {record: content.run_page(record) for record in content.records},
        "problems": content.problems,
    }


def _put(folder: Path, path: str, data: bytes) -> None:
    target = inside(folder, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:  # two pages with one name would be a defect
        file.write(data)


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends well."""
    out = out.absolute()
    if out.exists() and not _is_site(out):
        raise BenchError("this is no site, and would be replaced", where=out, mend="give --out a new or empty folder")
    sweep(out.parent, out.name)
    new, old = (out.with_name(f".{out.name}.{os.getpid()}.{kind}.tmp") for kind in ("new", "old"))
    new.mkdir(parents=True)
    try:
        yield new
        if out.exists():
            out.replace(old)
        new.replace(out)
    except BaseException:
        if old.exists() and not out.exists():
            old.replace(out)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is_site(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    marker = folder / RESULTS
    return not any(folder.iterdir()) or (marker.is_file() and FORMAT.encode() in marker.read_bytes())
