"""The README: its commands exist, its tables are those of the committed records."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from bench.cli import group, main
from bench.recipe import PHANTOM

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
SOURCES = (README, *sorted((ROOT / "sweeps").glob("*.sh")))


def commands():
    """Every `bench ...` line of README and sweeps, without comments and shell variables."""
    for path in SOURCES:
        for line in path.read_text().replace("\\\n", "").splitlines():
            found = re.match(r"\s*(?:\[.*\] \|\| )?bench (.*)", line)
            if found:
                yield pytest.param(shlex.split(found[1], comments=True), id=line.strip()[:60])


@pytest.mark.parametrize("words", list(commands()))
def test_every_command_of_readme_and_sweeps_is_one(words):
    verb, *rest = words
    context = click.Context(group)
    command = group.get_command(context, verb)
    assert command is not None
    # Parsed, not run: an option that does not exist, or one argument too many, raises.
    _, left, _ = command.make_parser(click.Context(command, parent=context)).parse_args(rest)
    assert left == []


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target


def test_tables_of_the_readme_and_all_pages_are_those_of_the_committed_records(capsys):
    with pytest.raises(SystemExit) as left:
        main(["table", "--check", str(ROOT / "leaderboards")])
    assert left.value.code == 0, capsys.readouterr().err


def test_every_dataset_that_has_records_is_shown_made_up_ones_there_or_on_the_page_of_coverage():
    text = README.read_text()
    globs = re.findall(r"<!-- table:([^\s/]+)", text)
    datasets = {path.name for path in (ROOT / "leaderboards" / "results").iterdir() if path.is_dir()}
    elsewhere = {name for name in datasets if not any(fnmatch(name, pattern) for pattern in globs)}
    assert datasets and all(name.startswith(PHANTOM) for name in elsewhere)
    covered = re.findall(r"pages/([\w-]+)\.md", (ROOT / "docs" / "coverage.md").read_text())
    assert "(docs/coverage.md)" in text and elsewhere <= {*covered}
