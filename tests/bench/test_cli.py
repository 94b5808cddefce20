"""The command line itself: verbs, exit codes, what it says when something is wrong."""

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from bench.cli import group, outcome
from bench.output import print_json, print_table, progress, track
from converters.errors import BenchError, EnvironmentFault, UsageError

VERBS = [
    "doctor",
    "ls",
    "phantom",
    "convert",
    "check",
    "view",
    "run",
    "train",
    "predict",
    "score",
    "table",
    "demo",
    "show",
    "site",
]


def test_help_tells_every_verb_in_a_sentence(bench):
    done = bench("--help")
    assert done.code == 0
    for verb in VERBS:
        line = next(line for line in done.out.splitlines() if line.startswith(f"  {verb} "))
        assert len(line.split()) > 3


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_takes_debug(bench, verb):
    done = bench(verb, "--help")
    assert done.code == 0
    assert "--debug" in done.out


def test_an_unknown_verb_is_usage_and_names_the_nearest(bench):
    done = bench("chekc")
    assert done.code == 2
    assert "Did you mean 'check'?" in done.err and "convert" in done.err


def test_an_unknown_option_is_usage_and_names_the_nearest(bench):
    done = bench("ls", "--jsn")
    assert done.code == 2
    assert "--json" in done.err


@pytest.mark.fault(62)
@pytest.mark.parametrize(
    "arguments",
    [
        ["phantom", "acdc", "x", "--seed", "x"],
        ["phantom", "acdc", "x", "--cases", "-1"],
        ["convert"],
        ["ls", "dataset"],
    ],
)
def test_a_value_that_does_not_fit_is_usage_and_writes_nothing(bench, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert bench(*arguments).code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["view", "acdcc", "--data", "none"], "acdc"),
        (["phantom", "chaoss", "x"], "chaos"),
        (["convert", "acdcc", ".", "x"], "acdc"),
    ],
)
def test_an_unknown_name_is_usage_and_names_the_nearest_and_all(bench, arguments, meant):
    done = bench(*arguments)
    assert done.code == 2
    assert f"Did you mean '{meant}'?" in done.err and "bench ls" in done.err


def test_an_error_says_what_where_and_how_without_a_traceback(bench, tmp_path):
    done = bench("check", tmp_path)
    assert done.code == 3
    assert done.err.splitlines()[0] == "BenchError: no dataset.json here"
    assert f"in    {tmp_path}" in done.err and "mend" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_on_either_side_of_the_verb(bench, tmp_path, place):
    words = ["--debug", "check", tmp_path] if place == "before" else ["check", tmp_path, "--debug"]
    done = bench(*words)
    assert done.code == 3
    assert "Traceback" in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BenchError("x"), 3),
        (UsageError("x"), 2),
        (EnvironmentFault("x"), 4),
        (click.UsageError("x"), 2),
        (click.Abort(), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "f"), 4),
        (OSError(errno.EROFS, "Read-only file system"), 4),
        (ModuleNotFoundError("no", name="monai"), 4),
        (FileNotFoundError(errno.ENOENT, "No such file", "f"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_kind_of_fault_has_its_exit_code_and_some_words(error, code):
    text, found = outcome(error)
    assert found == code
    assert text


def test_version_is_the_packages(bench):
    from importlib.metadata import version

    assert bench("--version").out == f"bench, version {version('frugalseg')}\n"


# A shell starts what runs in its background deaf to interrupts, and children inherit that.
LISTENING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from bench.cli import main
main(sys.argv[1:])
"""


@pytest.mark.fault(69)
def test_ctrl_c_leaves_with_130(tmp_path):
    words = [sys.executable, "-c", LISTENING, "phantom", "chaos", str(tmp_path / "raw"), "--cases", "1000"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        while not any(tmp_path.rglob("*.dcm")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted")


def test_commands_complete_in_a_shell():
    from click.shell_completion import ShellComplete

    found = ShellComplete(group, {}, "bench", "_BENCH_COMPLETE").get_completions([], "ch")
    assert [item.value for item in found] == ["check"]


def test_json_is_one_object_a_line_with_sorted_keys(capsys):
    print_json({"b": 1, "a": Path("x").name})
    print_json([1, 2])
    first, second = capsys.readouterr().out.splitlines()
    assert first == '{"a":"x","b":1}'
    assert json.loads(second) == [1, 2]


def test_progress_is_quiet_where_stderr_is_no_terminal(capsys):
    assert list(track([1, 2, 3], 3, "cases")) == [1, 2, 3]
    with progress("cases", 3) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_a_table_in_a_pipe_is_not_cut(capsys):
    print_table(("name", "text"), [("a", "x" * 150)])
    assert "x" * 150 in capsys.readouterr().out
