"""`bench demo`: the whole job on made-up patients, small."""

import pytest

from bench.cli import main
from leaderboards.collect import load


def test_the_demo_ends_with_a_table_of_eight_runs_and_a_second_one_repeats_nothing(tmp_path, capsys):
    arguments = ["demo", "--out", str(tmp_path), "--cases", "5", "--set", "train.steps=2", "--set", "train.threads=1"]
    stamps = []
    for _ in range(2):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
        out, err = capsys.readouterr()
        assert "checked" in err
        assert "made-up patients" in out
        assert {word for word in ("full", "semi10", "scribble", "noisy50") if word in out} == {
            "full",
            "semi10",
            "scribble",
            "noisy50",
        }
        stamps.append([path.stat().st_mtime_ns for path in sorted(tmp_path.rglob("*.json"))])
    assert stamps[0] == stamps[1]
    records, problems, _ = load([tmp_path / "runs"])
    assert problems == []
    assert len(records) == 8
    assert all(record.dataset.startswith("phantom-") for record in records)
    assert {record.annotator for record in records if record.protocol == "scribble"} == {"expert", "simulated scribble"}
