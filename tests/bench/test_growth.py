"""How cost grows: the fits, the sizes, the measuring at the smallest sizes, and the committed page."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.growth import madeup, stages, sweep
from bench.growth.fit import beyond, exponent
from bench.growth.page import draw, page
from bench.growth.sizes import FACTORS, SMALLEST, Size, amount, larger
from bench.growth.stages import STAGES, Task
from bench.growth.sweep import Growth, Point
from converters.errors import BenchError
from converters.files import read_json
from leaderboards.collect import load
from leaderboards.site.figures import save

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SIZES = [3 * factor for factor in FACTORS]


@pytest.mark.parametrize("k", [0.0, 0.5, 1.0, 1.7, 2.0])
def test_a_known_exponent_is_found(k):
    assert exponent(SIZES, [0.2 * size**k for size in SIZES]) == pytest.approx(k)


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("constant", [0.0, 40.0])
def test_it_is_found_beyond_a_constant_too_and_the_plain_one_is_then_too_small(k, constant):
    costs = [constant + 0.2 * size**k for size in SIZES]
    assert beyond(SIZES, costs) == pytest.approx(k)
    if constant:
        assert exponent(SIZES, costs) < k


def test_only_the_last_two_doublings_are_fitted_and_by_least_squares():
    assert exponent(SIZES, [1e9, 1e-9, 2, 4, 8]) == pytest.approx(1)
    logs = np.log([2.0, 5.0, 7.0])
    assert exponent(SIZES, [1, 1, 2, 5, 7]) == pytest.approx(np.polyfit(np.log(SIZES[2:]), logs, 1)[0])


@pytest.mark.parametrize("costs", [[1, 1, 1, 1, 1], [5, 4, 3, 2, 1], [1, 2, 3, 2, 2]])
def test_where_nothing_rises_there_is_no_exponent_beyond_a_constant(costs):
    assert beyond(SIZES, costs) is None


def test_no_exponent_of_nothing():
    assert exponent(SIZES, [0, 0, 0, 1, 1]) is None
    assert exponent([1], [1]) is None
    assert beyond([1, 2], [1, 2]) is None


def test_an_axis_grows_by_its_factor_and_nothing_else_does():
    base = Size()
    for axis in base.__struct_fields__:
        for factor in FACTORS:
            grown = larger(base, axis, factor)
            assert amount(grown, axis) == factor * amount(base, axis)
            assert msgspec.structs.replace(grown, **{axis: getattr(base, axis)}) == base
    assert larger(base, "volume", 16).volume == (128, 128, 32)


def test_made_up_data_have_the_size_that_is_asked_for_and_are_marked_as_made_up(tmp_path):
    size = Size(cases=3, volume=(24, 20, 6), classes=4)
    dataset = madeup.dataset(tmp_path, size)
    assert dataset.name.startswith("phantom-")
    assert {case.geometry.shape for case in dataset.cases} == {(24, 20, 6)}
    assert (len(dataset.cases), dataset.classes) == (3, 5)
    assert all(set(case.label.voxels) == {"0", "1", "2", "3", "4"} for case in dataset.cases)
    found = load([madeup.records(tmp_path, Size(records=7))])
    assert (len(found.records), found.problems) == (7, [])


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_runs_at_its_smallest(name, tmp_path):
    stages.lay_out([Task(name, SMALLEST, tmp_path, 2)])
    before = set(tmp_path.iterdir())
    seconds = STAGES[name].run(tmp_path, SMALLEST, 2)
    assert len(seconds) >= 2 and min(seconds) > 0
    assert set(tmp_path.iterdir()) == before


@pytest.fixture
def one_stage(monkeypatch):
    """The sweep of a single stage and axis, measured by nobody."""
    calls = []

    def alone(function, item):
        calls.append(item)
        return stages.Cost([0.5 * item.size.records], 3.0) if function is stages.measure else None

    monkeypatch.setattr(sweep, "alone", alone)
    return calls


def test_points_are_kept_as_they_come_and_a_second_call_goes_on(one_stage, tmp_path):
    file = tmp_path / "growth.json"
    seen = []

    def told(point):
        assert read_json(file, Growth).points[-1] == point
        seen.append(point)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(file, tmp_path, "tiny", ["table"], told)
    assert len(read_json(file, Growth).points) == 2
    made = sweep.sweep(file, tmp_path, "tiny", ["table"], seen.append)
    assert [point.factor for point in seen] == list(FACTORS)
    assert [point.amount for point in made.series("table", "records")] == [5 * factor for factor in FACTORS]
    count = len(one_stage)
    assert sweep.sweep(file, tmp_path, "tiny", ["table"], seen.append) == made
    assert len(one_stage) == count


def test_points_of_another_scale_or_machine_are_not_mixed(one_stage, tmp_path):
    file = tmp_path / "growth.json"
    tiny = sweep.sweep(file, tmp_path, "tiny", ["table"], lambda point: None)
    full = sweep.sweep(file, tmp_path, "full", ["table"], lambda point: None)
    assert (tiny.scale, full.scale, len(full.points)) == ("tiny", "full", 5)
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(full, machine=full.machine | {"cpu": "another"})))
    again = sweep.sweep(file, tmp_path, "full", ["table"], lambda point: None)
    assert (again.machine["cpu"], len(again.points)) == (full.machine["cpu"], 5)


def test_a_point_is_measured_in_a_process_of_its_own(tmp_path):
    task = Task("scoring", SMALLEST, tmp_path, 2)
    stages.lay_out([task])
    point = sweep._point(task, "cases", 1)
    assert (point.stage, point.amount) == ("scoring", 1)
    assert 0 < point.seconds < 60 and 0 <= point.mib < 500


def growth(**costs):
    """One line of the stage `table` for each cost, as if measured."""
    points = [
        Point(stage="table", axis="records", factor=f, amount=20 * f, seconds=costs["time"](f), mib=costs["memory"](f))
        for f in FACTORS
    ]
    machine = {"cpu": "Some CPU", "cores": "2", "python": "3.11.0"}
    return Growth(scale="full", machine=machine, code={}, points=tuple(points))


def test_the_page_tells_exponents_and_what_is_worse_than_linear():
    fine = page(growth(time=lambda f: 0.1 * f, memory=lambda f: 5.0))
    assert "| table | records | 20 | 320 | 0.1 | 1.6 | 1.00 | 1.00 |" in fine
    assert "| table | records | 20 | 320 | 5 | 5 | flat | - |" in fine
    assert fine.endswith("- none\n")
    bad = page(growth(time=lambda f: 0.1 * f**2, memory=lambda f: 10.0 * f))
    assert "- time of table in records: 2.00 and 2.00" in bad
    assert "- memory of table in records: 1.00 and 1.00" in bad


def test_the_drawing_is_the_same_for_the_same_points():
    made = growth(time=lambda f: 0.1 * f, memory=lambda f: 0.0)
    drawn = [draw(made) for _ in range(2)]
    assert save(drawn[0], "x") == save(drawn[1], "x")
    assert "table in records: 1.00" in drawn[0].alt
    assert draw(msgspec.structs.replace(made, points=())) is None


def test_the_committed_page_is_that_of_the_committed_points():
    made = read_json(DOCS / "growth.json", Growth)
    assert made.scale == "full"
    wanted = {(name, axis, factor) for name in STAGES for axis, factor, _ in sweep.plan(name, "full")}
    assert {(point.stage, point.axis, point.factor) for point in made.points} == wanted
    assert (DOCS / "growth.md").read_text() == page(made)
    assert (DOCS / "growth.svg").read_bytes().startswith(b"<?xml")


def test_the_script_writes_the_page_of_points_that_are_there(tmp_path):
    made = growth(time=lambda f: 0.1 * f, memory=lambda f: 5.0)
    (tmp_path / "growth.json").write_bytes(msgspec.json.encode(made))
    words = [sys.executable, ROOT / "sweeps" / "growth.py", "--page", "--out", tmp_path]
    subprocess.run(words, check=True)
    assert (tmp_path / "growth.md").read_text() == page(made)
    assert (tmp_path / "growth.svg").is_file()


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    (tmp_path / "growth.json").write_text('{"points": 3}')
    with pytest.raises(BenchError, match=r"growth\.json"):
        sweep.sweep(tmp_path / "growth.json", tmp_path, "tiny", ["table"], lambda point: None)
