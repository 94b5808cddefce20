"""docs/coverage.md, made by `make coverage`: docs/coverage.toml and what the committed records have of each system."""

import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import click
import msgspec

from bench.cli import group
from bench.recipe import PHANTOM
from converters.errors import BenchError
from converters.files import Strict, write_bytes
from docsite.markdown import ROOT, table
from leaderboards.collect import load
from leaderboards.planned import NOT_RUN
from leaderboards.record import Record
from leaderboards.summary import run_means, short

LIST = ROOT / "docs" / "coverage.toml"
PAGE = ROOT / "docs" / "coverage.md"
_FEW = 3  # made-up datasets that are told one by one
_HEAD = """\
# What of the field runs here

Written by `make coverage` from `docs/coverage.toml` and the committed records; nothing in it is typed by hand. *Made
of* says on what a record was made: *phantom* means made-up patients, which say nothing about real ones. `not run`: no
committed record, file or test shows it. A command that `bench` does not know is called so.
"""


class System(Strict):
    """One thing that users of the field come from, and what shows that it is here."""

    name: str
    command: str  # as typed: `bench ...`, `make ...` or Python
    record: Mapping[str, str] = {}  # field of a record, dotted -> pattern; every one must fit
    show: str = "dice"  # the metric whose mean over the records is shown
    files: tuple[str, ...] = ()  # committed ones that show it, where it leaves no record; all must be there
    page: str = ""  # of docs/


class Part(Strict):
    """One numbered item of what was to be built."""

    title: str
    system: tuple[System, ...]


class _List(Strict):
    part: tuple[Part, ...]


class Row(NamedTuple):
    """A line of the page."""

    system: System
    command: str
    made_of: str
    evidence: str


def parts() -> tuple[Part, ...]:
    """What docs/coverage.toml lists.

    Raises:
        BenchError: it is not such a list.
    """
    try:
        return msgspec.toml.decode(LIST.read_bytes(), type=_List).part
    except msgspec.MsgspecError as error:
        raise BenchError(str(error), where=LIST) from None


def page(records: Sequence[Record]) -> str:
    """docs/coverage.md."""
    made = [(part.title, [row(system, records) for system in part.system]) for part in parts()]
    rows = [one for _, of in made for one in of]
    missing = sum(one.evidence == NOT_RUN for one in rows)
    sections = [_HEAD + f"\n{len(rows)} systems; {missing} of them {NOT_RUN}."]
    for title, of in made:
        lines = [(_named(one.system), one.command, one.made_of, one.evidence) for one in of]
        sections.append(f"## {title}\n\n{table(('system', 'command', 'made of', 'shown by'), lines)}")
    return "\n\n".join(sections) + "\n"


def row(system: System, records: Iterable[Record]) -> Row:
    """What there is of one system: records before files."""
    command = f"`{system.command}`" if runnable(system.command) else f"`{system.command}`: no such command yet"
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if system.record and record.status == "done" and fits(record, system.record):
            found[record.dataset].append(record)
    if found:
        real = sorted({"phantom" if dataset.startswith(PHANTOM) else "real" for dataset in found}, reverse=True)
        return Row(system, command, ", ".join(real), "<br>".join(_told(system, found)))
    if system.files and all((ROOT / name).is_file() for name in system.files):
        return Row(system, command, "phantom", ", ".join(f"`{name}`" for name in system.files))
    return Row(system, command, "-", NOT_RUN)


def fits(record: Record, wanted: Mapping[str, str]) -> bool:
    """Whether every field has a value that its pattern takes; one that is absent has none."""
    fields: Any = msgspec.to_builtins(record)
    return all(fnmatchcase(_value(fields, place.split(".")), pattern) for place, pattern in wanted.items())


def runnable(command: str) -> bool:
    """Whether `bench` or make knows the command; any other program's is taken as it is."""
    program, *words = shlex.split(command)
    if program == "make":
        text = (ROOT / "Makefile").read_text(encoding="utf-8")
        return all(re.search(rf"^{re.escape(word)}:", text, re.MULTILINE) for word in words)
    if program != "bench":
        return True
    found = group.get_command(click.Context(group), words[0])
    if found is None:
        return False
    try:
        return found.make_parser(click.Context(found)).parse_args(words[1:])[1] == []
    except click.UsageError:
        return False


def _value(fields: Any, place: Sequence[str]) -> str:
    for key in place:
        fields = fields.get(key) if isinstance(fields, dict) else None
    return "" if fields is None else str(fields)


def _told(system: System, found: Mapping[str, Sequence[Record]]) -> Iterator[str]:
    """A line for each dataset; one for all made-up ones together where they are many, as those of a study."""
    made_up = sorted(dataset for dataset in found if dataset.startswith(PHANTOM))
    groups = [made_up] if len(made_up) > _FEW else [[dataset] for dataset in made_up]
    for datasets in [*([dataset] for dataset in sorted(found.keys() - set(made_up))), *groups]:
        records = [record for dataset in datasets for record in found[dataset]]
        links = ", ".join(f"[{dataset}](../leaderboards/pages/{dataset}.md)" for dataset in datasets)
        yield f"{links}: {len(records)} record{'s' * (len(records) > 1)}{_mean(records, system.show)}"


def _mean(records: Sequence[Record], metric: str) -> str:
    known = {definition for record in records for score in record.cases for definition in score.metrics}
    definition = next((one for one in sorted(known) if short(one) == metric), None)
    means = run_means([record.cases for record in records], definition) if definition else []
    if not means:
        return ""
    low, high = f"{min(means):.3g}", f"{max(means):.3g}"
    return f", {metric} {low}" if low == high else f", {metric} {low} to {high}"


def _named(system: System) -> str:
    return f"[{system.name}]({system.page})" if (ROOT / "docs" / system.page).is_file() else system.name


def main() -> int:
    """Write the page."""
    collected = load([ROOT / "leaderboards" / "results"])
    write_bytes(PAGE, page(collected.records).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
