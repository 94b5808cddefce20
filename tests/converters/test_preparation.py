"""The options of a preparation: what they are called, what is refused, and when cases are converted anew."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from acdc_tree import acdc_tree
from contents import tree
from prepared import AFFINE, attempt, blob, info, raw_case

from converters.check import check
from converters.dataset import Dataset
from converters.errors import UsageError
from converters.preparation import NOTHING, Preparation, applied, spacing_of
from converters.resample import smoothed
from converters.volume import Volume, write_nifti


def test_a_median_comes_first_and_leaves_labels_and_names_what_it_did() -> None:
    label = Volume((blob().array > 60).astype(np.uint8), AFFINE)
    case = raw_case("a", {"t1": blob()}, label=label)
    ((done, (one,)),) = applied([(info(modality="CT"), [case])], Preparation(median=5))
    loaded = one.load()
    assert np.array_equal(loaded.images["t1"].array, smoothed(blob(), 5).array)
    assert np.array_equal(loaded.label.array, label.array)
    assert (done.name, done.preparation["steps"]) == ("made-mr-median5", "median")
    assert done.preparation["median"].startswith("median over 5 x 5") and "interpolation" not in done.preparation
    assert Preparation(median=3, n4=True).steps == ("median", "n4")


def test_names_say_what_was_done_and_warnings_that_scores_are_others(tmp_path: Path) -> None:
    atlas = tmp_path / "MNI_152.nii.gz"
    write_nifti(atlas, blob())
    asked = Preparation(n4=True, atlas=atlas, spacing=(0.75, 1.0, 5.0), interpolation="linear")
    ((done, _),) = applied([(info(), [raw_case("a", {"t1": blob()})])], asked)
    assert done.name == "made-mr-n4-in-mni-152-0p75x1x5mm-linear"
    assert done.warnings == (
        "prepared (n4, atlas, spacing): scores on it are not comparable with those on native grids "
        "or of other preparations",
    )
    assert done.preparation["steps"] == "n4, atlas, spacing"
    assert done.preparation["atlas"] == "MNI_152"
    assert len(str(done.preparation["atlas_sha256"])) == 64
    assert str(tmp_path) not in str(done.preparation)
    assert "50 steps" in str(done.preparation["n4"])
    there = [(info(), [raw_case("a", {"t1": blob()})])]
    assert applied(there, NOTHING) is there


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"spacing": (1.0, 0.0, 1.0)}, "a spacing of 1,0,1 mm"),
        ({"spacing": (1.0, -2.0, 1.0)}, "a spacing of 1,-2,1 mm"),
        ({"spacing": (1.0, math.nan, 1.0)}, "a spacing of 1,nan,1 mm"),
        ({"join": ("a",)}, "to join a"),
        ({"join": ("a", "b", "a")}, "to join a, b, a"),
        ({"register": "rigid"}, "--register rigid without"),
        ({"median": 4}, "a median over 4 voxels"),
        ({"median": 1}, "a median over 1 voxels"),
        ({"n4": True, "interpolation": "linear"}, "nothing to resample"),
    ],
)
def test_nonsense_is_refused(asked: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Preparation(**asked)


@pytest.mark.parametrize("text", ["1,1", "1,1,1,1", "a,b,c", "", "1;1;1"])
def test_what_is_no_spacing_is_refused(text: str) -> None:
    assert spacing_of("0.5,1,2.5") == (0.5, 1.0, 2.5)
    with pytest.raises(UsageError, match="is no spacing"):
        spacing_of(text)


def test_what_a_dataset_is_too_poor_for_is_refused() -> None:
    case = raw_case("a", {"t1": blob()})
    with pytest.raises(UsageError, match="N4 is for MR; made-mr has t1"):
        applied([(info(modality="CT"), [case])], Preparation(n4=True))
    flat = dataclasses.replace(info(), ndim=2)
    with pytest.raises(UsageError, match="holds pictures"):
        applied([(flat, [case])], Preparation(n4=True))
    again = dataclasses.replace(info(), preparation={"steps": "n4"})
    with pytest.raises(UsageError, match="was prepared before"):
        applied([(again, [case])], Preparation(spacing=(1, 1, 1)))
    asked = Preparation(spacing=(1.0, 1.0, 1.0))
    ((_, (unknown,)),) = applied([(info(), [raw_case("a", {"t1": blob()}, spacing_known=False)])], asked)
    assert attempt(unknown) == "the files say nothing of millimetres"
    ((_, (wide,)),) = applied([(info(), [case])], Preparation(spacing=(99.0, 99.0, 99.0)))
    ((_, (fine,)),) = applied([(info(), [case])], Preparation(spacing=(0.01, 0.01, 0.01)))
    assert "at 99x99x99 mm an image of 80 x 68 x 60 mm" in attempt(wide)
    assert "would have 8000 x 6800 x 6000 voxels" in attempt(fine)


def test_a_label_that_is_wrong_on_its_own_grid_is_not_resampled_into_a_right_one() -> None:
    asked = Preparation(spacing=(4.0, 4.0, 6.0))
    short = Volume(np.ones((40, 34, 19), np.uint8), AFFINE)
    strange = np.zeros((40, 34, 20), np.uint8)
    strange[0, 0, 0] = 9
    cases = [raw_case("a", {"t1": blob()}, label=label) for label in (short, Volume(strange, AFFINE))]
    ((_, made),) = applied([(info(), cases)], asked)
    assert attempt(made[0]) == "label has 40x34x19 voxels, channel t1 has 40x34x20"
    assert attempt(made[1]) == "label: values outside [0, 1, 2, 3]: 9 (1 voxels)"


def test_other_options_convert_anew_and_the_same_ones_write_nothing(bench, tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    words = ("convert", "acdc", raw, tmp_path / "data", "--name", "mine", "--json")

    def unchanged(*flags: str) -> int:
        done = bench(*words, *flags)
        assert done.code == 0, done.err
        return int(json.loads(done.out)["unchanged"])

    assert unchanged("--spacing", "3,3,8", "--n4") == 0
    with_n4 = tree(tmp_path / "data")
    assert unchanged("--spacing", "3,3,8", "--n4") == 2
    assert tree(tmp_path / "data") == with_n4
    assert unchanged("--spacing", "3,3,8") == 0  # what is asked for no more was done before
    assert unchanged("--spacing", "3,3,8", "--interpolation", "linear") == 0
    assert unchanged("--spacing", "3,3,4", "--interpolation", "linear") == 0
    assert check(tmp_path / "data" / "mine") == []
    case = Dataset.load(tmp_path / "data" / "mine").cases[0]
    assert case.geometry.spacing_mm == (3.0, 3.0, 4.0)
    assert case.geometry.source_orientation == "LPS"
    assert case.preparation["spacing_mm_before"] == "1.5x1.5x8"
    assert unchanged() == 0
    refused = bench("convert", "acdc", raw, tmp_path / "data", "--name", "acdc", "--spacing", "3,3,8")
    assert refused.code == 2
    assert "'acdc' is the dataset on its native grid" in refused.err


def test_a_dry_run_names_what_would_come(bench, tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    done = bench("convert", "acdc", raw, tmp_path / "data", "--spacing", "1.25,1.25,5", "--dry-run")
    assert done.code == 0
    assert "would convert 2 cases of acdc-1p25x1p25x5mm" in done.err
    assert not (tmp_path / "data").exists()


def test_scribbles_survive_a_change_of_grid_as_codes(bench, tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    assert bench("convert", "acdc", raw, tmp_path / "data", "--spacing", "1,1,8").code == 0
    dataset = Dataset.load(tmp_path / "data" / "acdc-1x1x8mm")
    for case in dataset.cases:
        assert set(case.annotations["scribble"].voxels) <= {"0", "1", "2", "3", "255"}
        assert set(case.label.voxels) == {"0", "1", "2", "3"}
