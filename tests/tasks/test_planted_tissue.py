"""Tissues of made-up heads from T1, inversion recovery and FLAIR, by class-balanced 3D patches (`make tasks`)."""

from pathlib import Path
from statistics import fmean

import pytest

from converters.phantoms import mrbrains13
from leaderboards.record import Record
from leaderboards.summary import summarise

PEOPLE = 12


def tissues(bench, folder, *settings):
    """The record of one run on phantom-mrbrains13-tissue with the preset of 3D patches."""
    mrbrains13.write(folder / "raw", PEOPLE, 0)
    assert bench("convert", "mrbrains13", folder / "raw", folder / "data").code == 0
    words = ("--dataset", "phantom-mrbrains13-tissue", "--protocol", "full", "--preset", "demo3d", "--device", "cpu")
    told = [part for setting in ("train.threads=1", *settings) for part in ("--set", setting)]
    done = bench("run", *words, "--data", folder / "data", "--runs", folder / "runs", *told)
    assert done.code == 0, done.err
    (found,) = Path(folder / "runs").rglob("record.json")
    return Record.load(found)


@pytest.mark.tasks
def test_tissues_are_found_from_class_balanced_patches_of_three_contrasts(bench, tmp_path):
    record = tissues(bench, tmp_path)
    train = record.recipe["train"]
    assert train["foreground_by"] == "class" and len(train["patch"]) == 3
    assert record.status == "done" and len({score.label for score in record.cases}) == 3
    assert fmean(score.metrics["dice:v1"] for score in record.cases) > 0.8
    assert summarise([record.cases], "dice:v1").mean > 0.8
