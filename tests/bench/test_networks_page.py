"""docs/networks.md says what the sweep, the files, the measurements and the records say."""

from pathlib import Path

import msgspec
import pytest

from baselines import network
from bench import networks
from converters.files import read_json
from leaderboards.planned import Sweep
from leaderboards.record import Record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def rows():
    return networks.rows(ROOT / networks.SWEEP)


@pytest.fixture(scope="module")
def sizes():
    return read_json(ROOT / "docs" / "networks.json", dict[str, networks.Size])


def test_the_page_is_the_one_that_they_give(rows, sizes):
    made = networks.page(rows, sizes, networks.committed(ROOT))
    assert (ROOT / "docs" / "networks.md").read_text(encoding="utf-8") == made, "make networks"


def test_every_network_of_a_file_is_in_the_sweep(rows, sizes):
    assert {row.recipe.train.net.arch for row in rows} >= {"unet", *network.names()}
    assert sorted(sizes) == sorted(row.key for row in rows)


@pytest.mark.parametrize("arch", ["unet", "unet_tumour", "Segformer"])
def test_what_was_measured_is_measured_again(arch, rows, sizes):
    row = next(row for row in rows if row.recipe.train.net.arch == arch)
    assert networks.measure(row) == sizes[row.key]


def test_what_a_record_says_is_told(rows, sizes):
    golden = next((ROOT / "leaderboards" / "results" / "acdc").glob("full-supervised-????????????.json"))
    before = networks.page(rows, sizes, [])
    assert before.count("| not run |") == len(rows)
    recipe = sorted(rows[1].digests)[0]
    record = msgspec.structs.replace(Record.load(golden), digests={"recipe": recipe})
    line = next(line for line in networks.page(rows, sizes, [record]).splitlines() if "`unet_tumour`" in line)
    assert f" | {record.train.items_per_s:.1f} | {record.train.peak_host_mib / 1024:.1f} | " in line
    assert line.startswith("| `unet_tumour` | 0.")


def test_the_planned_runs_are_those_of_the_page(rows):
    planned = read_json(ROOT / "leaderboards" / "planned" / "networks.json", Sweep)
    assert len(planned.runs) == len(rows)
    for run, row in zip(planned.runs, rows, strict=True):
        assert run.recipe in row.digests
