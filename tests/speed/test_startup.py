"""How long a person waits for an answer that needs no torch. Target: under 0.3 s on an idle machine."""

import subprocess
import sys

import pytest

GROUP = "start-up of a command"


@pytest.mark.benchmark(min_rounds=5)
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["ls", "methods"], ["run", "--help"]], ids=" ".join)
def test_start_up(benchmark, enter, words):
    enter(GROUP, f"bench {' '.join(words)}", "a fresh process")
    done = benchmark(subprocess.run, [sys.executable, "-m", "bench.cli", *words], capture_output=True, check=True)
    assert done.stdout


@pytest.mark.benchmark(min_rounds=5)
def test_start_up_of_python_alone(benchmark, enter):
    enter(GROUP, "python", "a fresh process that does nothing")
    assert benchmark(subprocess.run, [sys.executable, "-c", ""], check=True).returncode == 0
