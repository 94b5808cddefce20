"""Thousands: a table and a site of many records, a dataset of many small cases. `make speed`.

What a record or a case costs must not grow with how many there are: ten times as many, the same for each, in CPU time
of this process and those it started. How long they take by the clock is written down, not promised: it hangs on the
cores.
"""

import functools
import resource
import time
from pathlib import Path

import pytest
from manyrecords import write_records
from tiny import tiny_dataset

from baselines.cache import prepare
from baselines.config import TrainConfig
from baselines.sampler import Sampler
from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.dataset import Dataset
from leaderboards import clinical, collect, columns, render, table
from leaderboards.site.build import build

GROWTH = 1.5  # what one of many may cost, as a multiple of one of few
RECORDS = {"few": (5, 4, 10, 5), "many": (25, 8, 10, 5)}  # datasets, protocols, methods, seeds
SITE = (4, 4, 5, 5)
SUBJECTS = {"few": 250, "many": 2500}  # of two cases each
STEPS = ("load", "check", "view", "prepare", "draw")
BATCHES = 500


def cpu():
    """Seconds of this process and of those it started and that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@pytest.fixture(scope="module")
def spent():
    """What one took, by what was done and of how many."""
    return {}


@pytest.fixture
def run(benchmark, enter, spent):
    """Does a piece of work once, writes down what one of `count` took, and holds many to what few took."""

    def timed(what, size, does, count, unit, work):
        enter(f"{what}, CPU time", f"of {count} {unit}", does, count, unit)
        start = time.perf_counter()
        made = benchmark.pedantic(work, rounds=1)
        benchmark.extra_info["note"] = f"{time.perf_counter() - start:.3g} s by the clock"
        spent[what, size] = benchmark.stats.stats.median / count
        few = spent.get((what, "few"))
        assert few is None or spent[what, size] < GROWTH * few + 1e-4
        return made

    return timed


def tabled(folder):
    """As `bench table --format markdown`."""
    found = collect.load([folder])
    rows, problems = table.rows(found.records, found.verified)
    assert not found.problems and not problems
    tables = [*columns.tables(rows), *clinical.tables(rows, clinical.measure(rows, found.records))]
    assert "".join(map(render.markdown, tables)).count("method\\_1") + len(rows) > len(tables)
    return rows


@pytest.mark.benchmark(timer=cpu)
@pytest.mark.parametrize("size", RECORDS)
def test_a_record_of_ten_thousand_costs_what_one_of_a_thousand_does(run, tmp_path, size):
    count = write_records(tmp_path, RECORDS[size])
    does = "20 cases, 3 labels and 26 metrics each: read, checked, ranked, rendered, by as many processes as pay"
    rows = run("a table", size, does, count, "records", lambda: tabled(tmp_path))
    assert len(rows) * RECORDS[size][-1] == count


@pytest.mark.benchmark(timer=cpu)
def test_a_site_of_many_records(run, tmp_path):
    runs = write_records(tmp_path / "runs", SITE)
    does = "a page for each, those above them, their figures"
    pages = run(
        "a site", "few", does, runs, "records", lambda: build(collect.load([tmp_path / "runs"]), tmp_path / "site")
    )
    assert pages == runs + SITE[0] * SITE[1] + SITE[0] + 1


class Course:
    """What is done with a dataset, step by step; each stands on the one before."""

    def __init__(self, root: Path, subjects: int) -> None:
        self.root, self.config = root, TrainConfig(patch=(16, 16), batch=8)
        freeze_default(tiny_dataset(root / "tiny", subjects, shape=(16, 16, 3)))

    def load(self):
        self.dataset = Dataset.load(self.root / "tiny")

    def check(self):
        # Of thousands of hearts this small some come out alike.
        assert not [problem for problem in check(self.dataset.root) if not problem.endswith("hold the same voxels")]

    def view(self):
        split = self.dataset.split("default")
        self.seen = view(self.dataset, split, parse("semi10"), 0, self.root / "view")

    def prepare(self):
        self.cases = prepare(self.seen, self.config, self.root / "packs")

    def draw(self):
        sampler = Sampler(self.cases, self.config, {"labelled": 1, "unlabelled": 1}, 0)
        for number in range(BATCHES):
            sampler(number)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """One for each size, made when it is first asked for."""
    return functools.cache(lambda size: Course(tmp_path_factory.mktemp(size), SUBJECTS[size]))


@pytest.mark.benchmark(timer=cpu)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", SUBJECTS)
def test_a_case_of_five_thousand_costs_what_one_of_five_hundred_does(run, course, size, step):
    does = f"16 x 16 x 3 voxels; {BATCHES} batches" if step == "draw" else "16 x 16 x 3 voxels"
    run(f"a data set, {step}", size, does, 2 * SUBJECTS[size], "cases", getattr(course(size), step))
