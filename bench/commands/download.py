"""Download a collection that is free to fetch; tell the steps where somebody must sign."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DRY_RUN, JSON
from bench.output import print_json, progress, say
from converters.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from converters.fetch import Fetched
    from converters.source import Access, Remote

NOTHING_DONE = 3


@click.command()
@click.argument("source")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--only", multiple=True, metavar="NAME", help="This file alone; may be given again (--dry-run lists them)."
)
@click.option("--unpack/--no-unpack", default=True, show_default=True, help="Unpack archives, each into its folder.")
@DRY_RUN
@JSON
def command(source: str, folder: Path | None, only: tuple[str, ...], unpack: bool, dry_run: bool, as_json: bool) -> int:
    """Fetch SOURCE (bench ls sources) into FOLDER, by default raw/SOURCE, and unpack it there.

    Repeated, it goes on where it broke off, and fetches nothing twice. Where somebody must register it prints the
    page and the steps, and the exit code is 3.
    """
    from converters.lock import locked
    from converters.source import find

    access: Access | None = getattr(find(source), "ACCESS", None)
    if access is None:
        raise BenchError(f"nothing is known here of how to get {source}", mend=f"bench convert {source} RAW data")
    if not access.files:
        return _signing(source, access, as_json)
    wanted = _wanted(access, only)
    folder = folder or Path("raw", source)
    if dry_run:
        return _would(wanted, folder, as_json)
    if len(wanted) > 1:
        say(f"{len(wanted)} files of {source}; --only NAME takes one of them, --dry-run lists them")
    with locked(folder):
        codes = [_get(remote, folder, unpack=unpack, as_json=as_json) for remote in wanted]
    say("\n".join(("by hand:", *_by_hand(access))) if any(codes) else f"then: {access.steps[-1]}")
    return max(codes)


def _wanted(access: "Access", only: tuple[str, ...]) -> "list[Remote]":
    known = {remote.name: remote for remote in access.files}
    for name in only:
        if name not in known:
            raise unknown_name("file", name, known)
    return [remote for name, remote in known.items() if not only or name in only]


def _get(remote: "Remote", folder: Path, *, unpack: bool, as_json: bool) -> int:
    """Exit code: a file that cannot be had does not keep the others from coming."""
    from converters import archives
    from converters.fetch import fetch

    into = None
    try:
        got = fetch(remote, folder, progress=progress)
        if unpack and archives.is_archive(remote.name):
            into = folder / archives.stem(remote.name)
            if into.exists():
                say(f"{into} is there, and is left as it is")
            else:
                _unpack(got, into)
    except BenchError as error:
        say(f"{type(error).__name__}: {error}")
        if as_json:
            print_json({"file": remote.name, "what": error.what, "where": error.where, "mend": error.mend})
        return error.exit_code
    _tell(remote, got, into, as_json)
    return 0


def _unpack(got: "Fetched", into: Path) -> None:
    """Unpack an archive; a broken one of which nobody says what it should be is thrown away, to be fetched again."""
    from converters import archives

    try:
        archives.unpack(got.path, into, archives.DOWNLOAD)
    except archives.Broken:
        if got.fetched and not got.checked:
            got.path.unlink()
            got.path.with_name(f"{got.path.name}.sha256").unlink(missing_ok=True)
        raise


def _tell(remote: "Remote", got: "Fetched", into: Path | None, as_json: bool) -> None:
    if not remote.checksum:
        say(f"{remote.name}: no checksum is published; the one found is in {got.path.name}.sha256")
    if as_json:
        facts = {"file": str(got.path), "bytes": got.bytes, "sha256": got.sha256, "fetched": got.fetched}
        print_json(facts | {"checked": got.checked, "unpacked": None if into is None else str(into)})
        return
    how = f"checked by {got.checked}" if got.checked else "checked by nothing"
    place = f", unpacked: {into}" if into is not None else ""
    click.echo(f"{remote.name}: {got.bytes} bytes, {'fetched' if got.fetched else 'was there'}, {how}{place}")


def _signing(source: str, access: "Access", as_json: bool) -> int:
    if as_json:
        print_json({"source": source, "page": access.page, "steps": access.steps})
    else:
        click.echo("\n".join(_by_hand(access)))
    return NOTHING_DONE


def _by_hand(access: "Access") -> Sequence[str]:
    steps = [f"  {number}. {step}" for number, step in enumerate(access.steps, 1)]
    return [access.page, *steps] if access.page else steps


def _would(wanted: "Sequence[Remote]", folder: Path, as_json: bool) -> int:
    for remote in wanted:
        there = (folder / remote.name).exists()
        if as_json:
            facts = {"file": str(folder / remote.name), "url": remote.url, "bytes": remote.bytes, "there": there}
            print_json(facts | {"checksum": remote.checksum})
        else:
            size = "size not published" if remote.bytes is None else f"{remote.bytes} bytes"
            say(f"{'has' if there else 'would fetch'} {remote.name}, {size}: {remote.url}")
    return 0
