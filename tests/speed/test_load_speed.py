"""Thousands: a table and a site of many records, a dataset of many small cases. `make speed`.

What a record or a case costs must not grow with how many there are: ten times as many, the same for each, in CPU time
of this process and those it started. How long ten thousand take is written down, not promised: it hangs on the cores.
"""

import resource
import time
from functools import partial

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
STEPS = ("load", "check", "view", "prepare", "pools", "sample")


def cpu():
    """Seconds of this process and of those it started and that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def tabled(folder):
    """As `bench table --format markdown`."""
    found = collect.load([folder])
    rows, problems = table.rows(found.records, found.verified)
    assert not found.problems and not problems
    tables = [*columns.tables(rows), *clinical.tables(rows, clinical.measure(rows, found.records))]
    assert "".join(map(render.markdown, tables)).count("method\\_1") + len(rows) > len(tables)
    return rows


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Name -> how many records of 20 cases, 3 labels and 26 metrics, CPU seconds and wall seconds of their table."""
    found = {}
    for name, shape in RECORDS.items():
        folder = tmp_path_factory.mktemp(name)
        count = write_records(folder, shape)
        before, start = cpu(), time.perf_counter()
        assert len(tabled(folder)) * shape[-1] == count
        found[name] = count, cpu() - before, time.perf_counter() - start
    return found


def test_ten_thousand_records_make_a_table(benchmark, enter, records):
    count, taken, wall = records["many"]
    assert count == 10_000
    does = f"read, checked, ranked, rendered, by as many processes as pay: {wall:.0f} s by the clock"
    enter("a table of 10 000 records, CPU time of each", "ours", does, 1, "records")
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info["note"] = f"{1e3 * taken / count:.1f} ms"
    few, least, _ = records["few"]
    assert taken / count < GROWTH * least / few


def test_a_site_of_many_records(benchmark, enter, tmp_path):
    runs = write_records(tmp_path / "runs", SITE)
    enter("a site of 400 records", "ours", "a page for each, those above them, their figures", runs, "records")
    before = cpu()
    pages = benchmark.pedantic(lambda: build(collect.load([tmp_path / "runs"]), tmp_path / "site"), rounds=1)
    benchmark.extra_info["note"] = f"{cpu() - before:.0f} s of CPU"
    assert pages == runs + SITE[0] * SITE[1] + SITE[0] + 1


def dataset_steps(root, subjects):
    """Name of a step -> what it takes for a case, and for a batch to sample, in seconds of CPU."""
    freeze_default(tiny_dataset(root / "tiny", subjects, shape=(16, 16, 3)))
    taken = {}

    def step(name, work, items=2 * subjects):
        start = cpu()
        made = work()
        taken[name] = (cpu() - start) / items
        return made

    dataset = step("load", partial(Dataset.load, root / "tiny"))
    step("check", partial(check, dataset.root))
    seen = step("view", partial(view, dataset, dataset.split("default"), parse("semi10"), 0, root / "view"))
    config = TrainConfig(patch=(16, 16), batch=8)
    cases = step("prepare", partial(prepare, seen, config, root / "packs"))
    sampler = step("pools", partial(Sampler, cases, config, {"labelled": 1, "unlabelled": 1}, 0))
    step("sample", lambda: [sampler(number) for number in range(500)], items=500)
    return taken


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return {name: dataset_steps(tmp_path_factory.mktemp(name), number) for name, number in SUBJECTS.items()}


@pytest.mark.parametrize("step", STEPS)
def test_a_case_of_five_thousand_costs_what_one_of_five_hundred_does(benchmark, enter, cases, step):
    enter(
        f"{step}: a case of {2 * SUBJECTS['many']}", "ours", f"CPU time beside one of {2 * SUBJECTS['few']}", 1, "cases"
    )
    benchmark.pedantic(lambda: None, rounds=1)
    many, few = cases["many"][step], cases["few"][step]
    benchmark.extra_info["note"] = f"{1e3 * many:.2f} ms beside {1e3 * few:.2f} ms"
    assert many < GROWTH * few + 1e-4
