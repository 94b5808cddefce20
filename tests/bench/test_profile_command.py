"""`bench profile` as typed: two files or none, and nothing else changed."""

import json

import pytest
from tiny import tiny_dataset

from baselines import latency, trace
from bench.cli import main
from bench.splits import freeze_default

QUICK = [
    *("--preset", "demo", "--device", "cpu", "--cache", "none", "--steps", "5"),
    *("--set", "train.patch=[16,16]", "--set", "train.batch=2", "--set", "train.threads=1"),
    *("--set", "train.net={widths=[4,8],dropout=[0,0]}"),
]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with the tiny dataset in it; work is done in its parent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(latency, "_ONE_BY_ONE", 3)
    freeze_default(tiny_dataset(tmp_path / "data" / "tiny", 6))
    return tmp_path / "data"


def profile(data, *more):
    """Exit code, and the files below the working folder that were not there."""
    before = set(data.parent.rglob("*"))
    with pytest.raises(SystemExit) as left:
        main(["profile", "--data", str(data), "--dataset", "tiny", "--out", "there/page", *QUICK, *more])
    made = set(data.parent.rglob("*")) - before
    return left.value.code, sorted(path.relative_to(data.parent).as_posix() for path in made if path.is_file())


BOTH = ["there/page/profile.md", "there/page/trace.json.gz"]


def test_a_profile_is_a_page_and_a_trace_and_changes_nothing_else(data, capsys):
    kept = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert profile(data, "--predict") == (0, BOTH)
    page = (data.parent / BOTH[0]).read_text(encoding="utf-8")
    for part in ("Machine", "Recipe", "Training: 5 steps after 20 of warm-up", "Prediction of s0", "input-bound share"):
        assert part in page
    shown = capsys.readouterr().out
    for row in ("samples/s, one batch held", "multiply-adds", "step p99", "share of the matrix peak", "one image, p90"):
        assert row in shown
        assert f"| {row} |" in page
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_second_profile_takes_the_place_of_the_first_and_tells_programs(data, capsys):
    assert profile(data) == (0, BOTH)
    first = (data.parent / BOTH[1]).read_bytes()
    capsys.readouterr()
    assert profile(data, "--json") == (0, [])
    told = json.loads(capsys.readouterr().out)
    assert told["prediction"] is None
    assert told["training"]["cost"]["items"] == 25 * 2
    assert set(told["training"]["parts_ms"]) == set(trace.PARTS)
    assert (data.parent / BOTH[1]).read_bytes() != first


def test_a_case_can_be_named(data, capsys):
    assert profile(data, "--predict", "s03-es", "--json") == (0, BOTH)
    assert json.loads(capsys.readouterr().out)["prediction"]["case"] == "s03-es"


def test_an_unknown_case_is_usage_and_writes_nothing(data, capsys):
    assert profile(data, "--predict", "s03-ess") == (2, [])
    assert "Did you mean 's03-es'" in capsys.readouterr().err
    assert not (data.parent / "there").exists()


def test_what_is_interrupted_leaves_nothing_half(data, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(trace, "matrix_gflops", interrupted)  # nearly at the end
    assert profile(data) == (130, [])
    assert list((data.parent / "there").iterdir()) == []
