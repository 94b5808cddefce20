"""Several processes make what one makes: thousands of records are shared out among them."""

import os
import signal
import subprocess
import sys

import pytest
from contents import tree
from sites import plain_records

from converters.errors import EnvironmentFault
from leaderboards import forked

# In a process of its own, where no thread of the suite holds anything; the limit is for what is worth it.
MAKE = """
import sys
from pathlib import Path
from leaderboards import collect, export, forked
from leaderboards.site.build import build
from leaderboards.table import rows
runs, out, forked.LEAST = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
forked.os.sched_getaffinity = lambda _: {0, 1, 2}
assert forked.jobs(9) == (3 if forked.LEAST == 1 else 1)
found = collect.load([runs])
made, problems = rows(found.records, found.verified)
assert {record.id() for record in found.records} == {run for row in made for run in row.runs}
build(found, out / "site")
(out / "rows.json").write_text(export.json_text(made, {}))
(out / "told.txt").write_text("\\n".join([*found.problems, *problems]))
"""


def test_tables_and_sites_of_several_processes_are_those_of_one(make, score, tmp_path):
    records = plain_records(make, score)
    for record in [*records, make(status="failed", reason="oom")]:
        record.save(tmp_path / "runs" / record.id()[:12] / "record.json")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "record.json").write_text("{")
    made = []
    for least in (1, 1000):
        out = tmp_path / str(least)
        out.mkdir()
        words = [sys.executable, "-c", MAKE, str(tmp_path / "runs"), str(out), str(least)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append(tree(out))
    assert made[0] == made[1]
    assert made[0]["told.txt"].count(b"\n") == 1
    assert {f"site/runs/{record.id()[:12]}.html" for record in records} <= made[0].keys()


def test_every_number_is_answered_once_and_an_error_comes_through():
    def work(number):
        if number == 7:
            raise KeyError(number)
        return number * number

    assert sorted(forked.each(work, 7, 3)) == [(number, number * number) for number in range(7)]
    with pytest.raises(KeyError):
        list(forked.each(work, 8, 3))


def test_a_process_that_is_killed_is_told_of():
    def work(number):
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(EnvironmentFault, match="was ended"):
        list(forked.each(work, 6, 2))
