"""Predictions of other tools that are wrong, empty or mirrored, and references that are none."""

import json
import shutil

import numpy as np
import pytest
from theirs import PERFECT, dice

from bench.splits import freeze_default
from converters.dataset import Dataset
from converters.volume import Volume, read_label, write_nifti
from leaderboards.rules import broken

# Rows 75 and 76: what a file can be wrong in, and what it counts for.


def missing(path, volume):
    path.unlink()


def cut(path, volume):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_shape(path, volume):
    write_nifti(path, Volume(volume.array[:, :-1], volume.affine))


def other_spacing(path, volume):
    write_nifti(path, Volume(volume.array, volume.affine @ np.diag([1.1, 1, 1, 1])))


def affine_mirrored_alone(path, volume):
    write_nifti(path, Volume(volume.array, np.diag([-1.0, 1, 1, 1]) @ volume.affine))


def data_mirrored_and_affine_only_half(path, volume):
    write_nifti(path, Volume(volume.array[::-1], volume.affine @ np.diag([-1.0, 1, 1, 1])))


def wrong_value(path, volume):
    write_nifti(path, Volume(np.where(volume.array == 2, 7, volume.array).astype(np.uint8), volume.affine))


def probabilities(path, volume):
    write_nifti(path, Volume((volume.array / 3).astype(np.float32), volume.affine))


def html(path, volume):
    path.write_bytes(b"<!DOCTYPE html><html>sign in</html>")


WRONG = {
    missing: "there is no prediction",
    cut: "the gzip data is cut off",
    other_shape: "shape (32, 27, 4) for a reference of (32, 28, 4)",
    other_spacing: "its affine puts a corner",
    affine_mirrored_alone: "its affine puts a corner",
    data_mirrored_and_affine_only_half: "its affine puts a corner",
    wrong_value: "values that are no labels here: 7 in",
    probabilities: "label values are no integers",
    html: "is HTML, the download failed",
}


@pytest.mark.fault(76)
@pytest.mark.parametrize(("spoil", "said"), WRONG.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_prediction_that_cannot_be_used_counts_as_the_worst_and_the_rest_as_it_is(
    scored, predictions, cases, spoil, said
):
    bad = cases[0]
    path = predictions / f"{bad.id}.nii.gz"
    spoil(path, read_label(path))
    code, err, scores, record = scored()
    assert code == 1
    assert f"case {bad.id}: " in err and said in err.replace("\n", " ") and "scored as missed" in err
    assert dice(scores, bad) == {"right": 0.0, "wall": 0.0, "left": 0.0}
    assert {score["status"] for (case, _), score in scores.items() if case == bad.id} == {"invalid"}
    assert all(set(dice(scores, case).values()) == {PERFECT} for case in cases[1:])
    assert len(record.cases) == 12 and broken(record) == []
    assert sum(score.status == "invalid" for score in record.cases) == 3


def turned(volume):
    """The same voxels stored from front to back, and an affine that says so."""
    flip = np.diag([1.0, -1, 1, 1])
    flip[1, 3] = volume.shape[1] - 1
    return Volume(volume.array[:, ::-1], volume.affine @ flip)


def test_a_prediction_stored_mirrored_with_its_affine_is_the_same_prediction(scored, predictions, cases):
    path = predictions / f"{cases[0].id}.nii.gz"
    write_nifti(path, turned(read_label(path)))
    code, _, scores, _ = scored()
    assert code == 0 and set(dice(scores, cases[0]).values()) == {PERFECT}


@pytest.mark.parametrize(
    "mirror",
    [
        lambda volume: Volume(volume.array[:, ::-1], volume.affine),
        lambda volume: Volume(volume.array, turned(volume).affine),
    ],
    ids=["data", "affine"],
)
def test_anatomy_mirrored_in_place_is_scored_where_it_lies_and_loses(scored, predictions, cases, mirror):
    path = predictions / f"{cases[0].id}.nii.gz"
    write_nifti(path, mirror(read_label(path)))
    code, _, scores, _ = scored()
    assert code == 0, "it lies on the grid: nobody can tell a mirrored heart from a bad one"
    assert dice(scores, cases[0])["left"] < 0.9
    assert {score["status"] for (case, _), score in scores.items() if case == cases[0].id} == {"ok"}


@pytest.mark.fault(76)
def test_an_extra_case_is_told_and_changes_nothing(scored, predictions, cases):
    shutil.copy(predictions / f"{cases[0].id}.nii.gz", predictions / "s77-ed.nii.gz")
    code, err, scores, record = scored()
    assert code == 0 and "1 of 5 predictions belong to no case that is asked for: s77-ed.nii.gz" in err
    assert len(scores) == 12 and "prediction:s77-ed" not in record.digests


def emptied(hearts, case, keep):
    """Take labels out of the reference of a case, sidecar and all."""
    path = hearts.root / case.label.file
    volume = read_label(path)
    write_nifti(path, Volume(np.where(np.isin(volume.array, keep), volume.array, 0).astype(np.uint8), volume.affine))


@pytest.mark.fault(75)
def test_empty_on_one_side_or_both_has_its_values_its_status_and_its_count(bench, scored, hearts, predictions, cases):
    path = predictions / f"{cases[0].id}.nii.gz"
    emptied(hearts, cases[0], keep=[2, 3])  # no right ventricle in the reference
    volume = read_label(path)
    kept = np.where(np.isin(volume.array, [1, 2]), volume.array, 0)  # no left one in the prediction
    write_nifti(path, Volume(kept.astype(np.uint8), volume.affine))
    emptied(hearts, cases[1], keep=[])
    write_nifti(predictions / f"{cases[1].id}.nii.gz", Volume(np.zeros_like(volume.array), volume.affine))
    code, _, scores, record = scored()
    assert code == 0, "an empty label map is an answer"
    status = {label: scores[cases[0].id, label]["status"] for label in ("right", "wall", "left")}
    assert status == {"right": "false", "wall": "ok", "left": "missed"}
    assert {scores[cases[1].id, label]["status"] for label in status} == {"both_empty"}
    assert dice(scores, cases[0]) == {"right": 0.0, "wall": 1.0, "left": 0.0}
    assert set(dice(scores, cases[1]).values()) == {None}
    assert scores[cases[0].id, "right"]["metrics"]["hd95:c6-bg-max:v1"] is None
    assert broken(record) == []
    (row,) = [json.loads(line) for line in bench("table", hearts.root.parents[1] / "out", "--json").out.splitlines()]
    assert (row["both_empty"], row["missed"], row["false"], row["invalid"]) == (3, 1, 1, 0)
    labels = row["labels"]
    # right: 0 and 1, left: 0 and 1, wall: 1; the case that is empty on both sides counts for nobody.
    assert [labels[label]["dice:v1"]["mean"] for label in ("right", "wall", "left")] == [0.5, 1.0, 0.5]


def test_nothing_is_left_behind_where_nothing_could_be_scored(bench, hearts, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = bench("score", empty, hearts.root, "--method", "theirs", "--out", tmp_path / "out")
    assert done.code == 3 and "none of the 0 NIfTI files" in done.err
    assert not (tmp_path / "out").exists()


# Row 60.


@pytest.mark.fault(60)
@pytest.mark.parametrize(("protocol", "kind"), [("noisy100", "noisy"), ("scribble", "scribble")])
def test_a_view_with_worse_labels_is_no_reference(bench, hearts, tmp_path, protocol, kind):
    view, folder = tmp_path / "view", tmp_path / "copies"
    assert bench("view", "tiny", "--protocol", protocol, "--data", hearts.root.parent, "--out", view).code == 0
    seen = Dataset.load(view)
    freeze_default(seen)  # a split for whoever insists
    folder.mkdir()
    for case in hearts.cases:
        shutil.copy(hearts.root / case.label.file, folder)
    done = bench("score", folder, view, "--method", "theirs", "--out", tmp_path / "out")
    assert done.code == 3 and not (tmp_path / "out").exists()
    assert f"its label is {kind}, simulated; a reference is dense, expert or derived" in done.err.replace("\n", " ")
