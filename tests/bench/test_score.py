import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.matching import Match, of_folders
from bench.score import Structures, prediction_digests, score, score_matches, score_volumes
from converters.errors import BenchError
from converters.volume import Volume, data_sha256, read_label, write_nifti

WORST = {"dice:v1": 0.0, "iou:v1": 0.0, "hd95:c6-bg-max:v1": None, "nsd@1mm:c6-bg-pooled:v1": 0.0, "ravd:v1": 100.0}
BEST = {"dice:v1": 1.0, "iou:v1": 1.0, "hd95:c6-bg-max:v1": 0.0, "nsd@1mm:c6-bg-pooled:v1": 1.0, "ravd:v1": 0.0}
FIRST = "s00-ed"


@pytest.fixture
def hearts(dataset_of):
    """Two subjects, four cases, three labels."""
    return dataset_of(2)


@pytest.fixture
def predictions(hearts, tmp_path):
    """Perfect predictions of all cases, named by case id."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for case in hearts.cases:
        shutil.copy(hearts.root / case.label.file, folder / f"{case.id}.nii.gz")
    return folder


def scored(predictions, hearts):
    problems = []
    return score(predictions, hearts, hearts.cases, problems=problems), problems


def of_case(scores, case):
    return [s for s in scores if s.case == case]


def only(values, wanted):
    return {name: values[name] for name in wanted}


def put(folder, change, case=FIRST):
    """Write the case's prediction again, changed."""
    path = folder / f"{case}.nii.gz"
    volume = read_label(path)
    write_nifti(path, change(volume))


def assert_invalid(predictions, hearts, reason):
    scores, problems = scored(predictions, hearts)
    assert len(scores) == 12, "a case that cannot be scored is not dropped"
    for s in of_case(scores, FIRST):
        assert (s.status, s.tp, s.fp) == ("invalid", 0, 0) and s.fn > 0
        assert only(s.metrics, WORST) == WORST
    assert {s.status for s in scores if s.case != FIRST} == {"ok"}
    assert len(problems) == 1 and FIRST in problems[0] and reason in problems[0]


def test_a_perfect_prediction_is_perfect(predictions, hearts):
    scores, problems = scored(predictions, hearts)
    assert problems == []
    assert [(s.case, s.label) for s in scores] == [
        (c.id, name) for c in hearts.cases for name in ("right", "wall", "left")
    ]
    for s in scores:
        assert only(s.metrics, BEST) == BEST
        assert s.status == "ok" and s.subject == s.case[:3] and s.group == s.case[-2:].upper()
        assert s.tp == hearts.case(s.case).label.voxels[str(hearts.labels[s.label])]
    # The tolerances are the dataset's; the last slice cuts through all structures.
    assert "nsd@2mm:c6-bg-pooled:v1" in scores[0].metrics and scores[0].touches_border


@pytest.mark.fault(74)
def test_scoring_twice_gives_the_same_bytes(predictions, hearts):
    put(predictions, lambda v: Volume(np.roll(v.array, 1, axis=0), v.affine))
    assert msgspec.json.encode(scored(predictions, hearts)[0]) == msgspec.json.encode(scored(predictions, hearts)[0])


def test_progress_is_told_case_by_case(predictions, hearts):
    told = []
    score(predictions, hearts, hearts.cases, told.append)
    assert told == [1] * 4


@pytest.mark.fault(76)
def test_a_missing_prediction_scores_worst(predictions, hearts):
    (predictions / f"{FIRST}.nii.gz").unlink()
    assert_invalid(predictions, hearts, "no prediction")


@pytest.mark.fault(76)
def test_a_cut_prediction_scores_worst(predictions, hearts):
    path = predictions / f"{FIRST}.nii.gz"
    path.write_bytes(path.read_bytes()[:-40])
    assert_invalid(predictions, hearts, FIRST)


@pytest.mark.fault(76)
def test_a_prediction_of_another_shape_scores_worst(predictions, hearts):
    put(predictions, lambda v: Volume(v.array[:-1], v.affine))
    assert_invalid(predictions, hearts, "shape (31, 28, 4) for a reference of (32, 28, 4)")


@pytest.mark.fault(76)
def test_a_prediction_in_another_place_scores_worst(predictions, hearts):
    moved = np.eye(4)
    moved[2, 3] = 2.0
    put(predictions, lambda v: Volume(v.array, moved @ v.affine))
    assert_invalid(predictions, hearts, "2.00 mm")


@pytest.mark.fault(76)
@pytest.mark.parametrize("value", [4, 255])
def test_a_prediction_with_a_value_outside_the_map_scores_worst(predictions, hearts, value):
    def stray(volume):
        array = volume.array.copy()
        array[0, 0] = value
        return Volume(array, volume.affine)

    put(predictions, stray)
    assert_invalid(predictions, hearts, f"{value} in 4 voxels; the labels are [1, 2, 3]")


def test_a_prediction_stored_in_another_orientation_scores_the_same(predictions, hearts):
    def turned(volume):
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        flip[:2, 3] = [volume.shape[0] - 1, volume.shape[1] - 1]
        swap = np.eye(4)[[0, 2, 1, 3]]
        return Volume(volume.array[::-1, ::-1].transpose(0, 2, 1), volume.affine @ flip @ swap)

    put(predictions, turned)
    scores, problems = scored(predictions, hearts)
    assert problems == [] and all(only(s.metrics, BEST) == BEST for s in scores)


def test_a_mirrored_prediction_is_scored_where_its_affine_puts_it(predictions, hearts):
    put(predictions, lambda v: Volume(v.array[:, ::-1], v.affine))
    scores, problems = scored(predictions, hearts)
    assert problems == []
    assert all(s.metrics["dice:v1"] < 0.8 and s.status == "ok" for s in of_case(scores, FIRST))
    put(predictions, lambda v: Volume(v.array[:, ::-1], v.affine @ np.diag([1.0, -1.0, 1.0, 1.0])))
    assert_invalid(predictions, hearts, "mm from the reference's")


def test_native_ids_are_accepted_as_file_names(predictions, hearts):
    for case in hearts.cases:
        (predictions / f"{case.id}.nii.gz").rename(predictions / f"{case.native_id}.nii.gz")
    scores, problems = scored(predictions, hearts)
    assert problems == [] and {s.case for s in scores} == {c.id for c in hearts.cases}
    assert all(s.metrics["dice:v1"] == 1.0 for s in scores)


def test_the_name_of_the_source_image_is_accepted_as_a_file_name(predictions, hearts):
    for case in hearts.cases:
        (predictions / f"{case.id}.nii.gz").rename(predictions / Path(case.sources[0].path).name)
    scores, problems = scored(predictions, hearts)
    assert problems == []
    assert all(s.metrics["dice:v1"] == 1.0 for s in scores)


def test_two_predictions_of_one_case_are_refused(predictions, hearts):
    shutil.copy(predictions / f"{FIRST}.nii.gz", predictions / f"Native_{FIRST}.nii.gz")
    with pytest.raises(BenchError, match=f"{FIRST} has two predictions"):
        scored(predictions, hearts)


@pytest.mark.fault(76)
def test_files_of_no_case_are_told_and_other_files_are_no_business_of_ours(predictions, hearts):
    shutil.copy(predictions / f"{FIRST}.nii.gz", predictions / "s77-ed.nii.gz")
    (predictions / "plans.json").write_text("{}")
    (predictions / "._s00-ed.nii.gz").write_bytes(b"")
    scores, problems = scored(predictions, hearts)
    assert problems == ["1 of 5 predictions belong to no case that is asked for: s77-ed.nii.gz"]
    assert len(scores) == 12


def test_a_folder_that_fits_no_case_is_refused(hearts, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_nifti(folder / "liver.nii.gz", read_label(hearts.root / hearts.cases[0].label.file))
    with pytest.raises(BenchError, match="none of the 1 NIfTI files") as caught:
        scored(folder, hearts)
    assert f"{FIRST}.nii.gz" in caught.value.mend
    with pytest.raises(BenchError, match="no such folder"):
        scored(tmp_path / "nowhere", hearts)


@pytest.mark.fault(60)
@pytest.mark.parametrize(("field", "value"), [("kind", "scribble"), ("kind", "noisy"), ("origin", "simulated")])
def test_only_dense_labels_of_people_are_a_reference(predictions, hearts, field, value):
    case = hearts.cases[0]
    worse = msgspec.structs.replace(case, label=msgspec.structs.replace(case.label, **{field: value}))
    with pytest.raises(BenchError, match=f"its label is .*{value}.*a reference is dense"):
        score(predictions, hearts, [worse])


def test_a_case_without_a_label_cannot_be_scored(predictions, hearts):
    case = msgspec.structs.replace(hearts.cases[0], label=None)
    with pytest.raises(BenchError, match="has no reference label"):
        score(predictions, hearts, [case])
    with pytest.raises(BenchError, match="no case to score"):
        score(predictions, hearts, [])


@pytest.mark.fault(75)
def test_a_label_missing_on_one_side_or_both_has_its_status():
    empty = np.zeros((6, 6, 6), np.uint8)
    reference, prediction = empty.copy(), empty.copy()
    reference[1:3], prediction[4:5] = 1, 2
    match = Match("a", "a", None, None, None)
    volumes = [Volume(array, np.eye(4)) for array in (reference, prediction)]
    scores = score_volumes(match, *volumes, Structures({"one": 1, "two": 2, "three": 3}), [])
    assert [s.status for s in scores] == ["missed", "false", "both_empty"]
    assert [s.diagonal_mm for s in scores] == [pytest.approx(np.sqrt(3) * 6)] * 3


def test_unannotated_voxels_are_left_out_and_counted():
    reference = np.zeros((6, 6, 6), np.uint8)
    reference[1:5, 1:5, 1:5] = 1
    prediction = reference.copy()
    prediction[1:5, 1:5, 5] = 1
    reference[..., 5] = 255
    match = Match("a", "a", None, None, None)
    volumes = [Volume(array, np.eye(4)) for array in (reference, prediction)]
    (only_one,) = score_volumes(match, *volumes, Structures({"one": 1}), [])
    assert only_one.ignored == 36 and only(only_one.metrics, BEST) == BEST


def test_overlapping_regions_are_scored_each_as_a_whole():
    array = np.zeros((9, 9, 1), np.uint8)
    array[1:5, 1:5], array[4:8, 4:8], array[4, 4] = 1, 2, 3
    match = Match("a", "a", None, None, None)
    volume = Volume(array, np.eye(4))
    scores = score_volumes(match, volume, volume, Structures({"lung": (1, 3), "heart": (2, 3)}), [])
    assert [(s.label, s.tp, s.status) for s in scores] == [("lung", 16, "ok"), ("heart", 16, "ok")]


def test_two_folders_are_paired_by_name_with_the_labels_they_hold(tmp_path):
    array = np.zeros((8, 8, 4), np.uint8)
    for name, codes in (("a", (3,)), ("b", (3, 9))):
        for number, code in enumerate(codes):
            array[2 * number : 2 * number + 2] = code
        write_nifti(tmp_path / "reference" / f"{name}.nii.gz", Volume(array.copy(), np.eye(4)))
    write_nifti(
        tmp_path / "prediction" / "a.nii.gz", Volume(np.where(array == 9, 5, array).astype(np.uint8), np.eye(4))
    )
    matches, problems = of_folders(tmp_path / "prediction", tmp_path / "reference")
    structures = Structures.found(matches)
    assert dict(structures.labels) == {"3": 3, "5": 5, "9": 9} and problems == []
    scores = score_matches(matches, structures, None, problems)
    assert [s.status for s in scores] == ["ok", "false", "both_empty", "invalid", "invalid", "invalid"]
    assert problems == ["case b: there is no prediction; scored as missed"]
    digests = prediction_digests(matches)
    assert digests == {"a": data_sha256(read_label(tmp_path / "prediction" / "a.nii.gz"))}


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_axes_in_another_order_are_the_same_prediction_however_the_image_is_turned(degrees, axes):
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * (1.2, 1.5, 5.0)
    array = np.random.default_rng(0).integers(0, 2, (9, 11, 5)).astype(np.uint8)
    turned = array.transpose(axes)[::-1]
    back = np.eye(4)[:, [*axes, 3]] @ np.diag([-1.0, 1, 1, 1])
    back[axes[0], 3] = turned.shape[0] - 1
    stored = Volume(turned, (affine @ back).astype(np.float32).astype(np.float64))
    problems = []
    match = Match("a", "a", None, Path("a"), Path("a"))
    (found,) = score_volumes(match, Volume(array, affine), stored, Structures({"a": 1}), problems)
    assert problems == [] and found.metrics["dice:v1"] == 1.0
