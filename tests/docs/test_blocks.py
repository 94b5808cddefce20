"""Every block of a page that a reader may copy: run, read by another test, or not run for a reason that is told."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import click
import pytest
from world import build, carry_out

from bench.cli import group
from bench.sweep import read
from converters.supplied import declared
from docsite.blocks import blocks, fate, pages, table
from docsite.markdown import ROOT

FATES = table().block
ALL = [block for path in pages() for block in blocks(path)]
FOUND = [(block, fate(block, FATES)) for block in ALL]
_TARGET = re.compile(r"^make ([a-z-]+)", re.MULTILINE)


def told(path):
    return path.relative_to(ROOT).as_posix()


def of_speed(speed):
    return sorted({block.page for block, one in FOUND if one and one.run == speed})


def lines(text):
    """The `bench ...` lines of a block, as words; what stands for any words is none."""
    for line in text.replace("\\\n", "").splitlines():
        for part in re.split(r"\||;|\bdo ", line.partition(" > ")[0]):
            if part.strip().startswith("bench ") and "..." not in part:
                yield shlex.split(part, comments=True)[1:]


def test_every_block_has_a_fate_and_every_fate_a_block():
    assert [f"{block.page}:{block.line}" for block, one in FOUND if one is None] == []
    used = {id(one) for _, one in FOUND}
    assert [(one.page, one.starts) for one in FATES if id(one) not in used] == []


def test_a_test_that_a_fate_names_is_there_and_knows_the_page():
    for one in FATES:
        if one.test:
            text = (ROOT / one.test).read_text(encoding="utf-8")
            assert Path(one.page).name in text or one.page == "README.md", (one.page, one.test)


@pytest.mark.parametrize(
    "block", [block for block in ALL if "bench " in block.text], ids=lambda b: f"{b.page}:{b.line}"
)
def test_every_bench_line_is_a_command_line(block):
    for verb, *rest in lines(block.text):
        command = group.get_command(click.Context(group), verb)
        assert command is not None, verb
        # Parsed, not run: an option that does not exist, or one argument too many, raises.
        left = command.make_parser(click.Context(command)).parse_args(rest)[1]
        assert left == [], (verb, rest)


def test_every_target_of_make_is_there():
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for block in ALL for name in _TARGET.findall(block.text)} <= there


def test_the_labels_and_the_sweep_of_their_pages_are_read(tmp_path):
    by_page = {block.page: block for block, one in FOUND if one and one.test == "tests/docs/test_blocks.py"}
    (tmp_path / "labels.toml").write_text(by_page["docs/labels.md"].text, encoding="utf-8")
    assert declared(tmp_path).generator == "SynthSeg 2.0"
    (tmp_path / "sweep.toml").write_text(by_page["docs/sweep.md"].text, encoding="utf-8")
    assert len(read(tmp_path / "sweep.toml")) == 10


def test_other_blocks_of_toml_are_toml():
    for block in ALL:
        if block.language == "toml":
            assert tomllib.loads(block.text), f"{block.page}:{block.line}"


def run(page, speed, folder):
    """The blocks of a page that are run at this speed, in order."""
    stand_in = table().stand_in
    for block, one in FOUND:
        if block.page == page and one.run == speed:
            carry_out(block, one, folder, stand_in)


@pytest.mark.parametrize("page", of_speed("fast"))
def test_the_blocks_of_a_page_run_fast(page, tmp_path):
    run(page, "fast", tmp_path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Made once; every page gets a copy."""
    return build(tmp_path_factory.mktemp("blocks") / "world")


@pytest.mark.blocks
@pytest.mark.parametrize("page", of_speed("slow"))
def test_the_blocks_of_a_page_run(page, tmp_path, request):
    folder = tmp_path / "page"
    if any(one.world for block, one in FOUND if block.page == page and one.run):
        shutil.copytree(request.getfixturevalue("world"), folder, symlinks=True)
    else:
        folder.mkdir()
    run(page, "slow", folder)
