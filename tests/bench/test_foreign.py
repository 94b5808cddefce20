"""Predictions of other tools through `bench score`: how their files are named, and what a record says of them."""

import shutil
from pathlib import Path

import msgspec
import nibabel
import pytest
from theirs import PERFECT, dice

from bench.matching import with_dataset
from converters.errors import BenchError
from converters.volume import read_label
from leaderboards.collect import load


def rename(folder, cases, name):
    """Give every prediction another path, `name(case)` below the folder."""
    for case in cases:
        target = folder / name(case)
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{case.id}.nii.gz").rename(target)


# How tools name what they write.


NNUNET = ("dataset.json", "plans.json", "predict_from_raw_data_args.json", "progress.png")


def test_what_nnunet_leaves_beside_its_label_maps_is_no_prediction(scored, predictions, cases):
    for name in NNUNET:
        (predictions / name).write_text("{}")
    for case in cases:
        (predictions / f"{case.id}.npz").write_bytes(b"probabilities")
        (predictions / f"{case.id}.pkl").write_bytes(b"properties")
    worse = predictions / "postprocessed"
    worse.mkdir()
    for case in cases:
        shutil.copy(predictions / f"{case.id}.nii.gz", worse)
    code, err, scores, _ = scored()
    assert code == 0 and "belong to no case" not in err
    assert all(dice(scores, case) == {"right": 1.0, "wall": 1.0, "left": 1.0} for case in cases)


@pytest.mark.parametrize(
    "name",
    [
        lambda case: Path(case.sources[0].path).name,  # PyMIC: as the image it read
        lambda case: f"{case.id}_0000.nii.gz",  # as the image of the uniform format
        lambda case: f"{case.id}_0000/{case.id}_0000_trans.nii.gz",  # MONAI: SaveImage as it comes
        lambda case: f"{case.id}_0000_seg.nii.gz",  # separate_folder=False, output_postfix="seg"
        lambda case: f"{case.id}/{case.id}_pred.nii.gz",
        lambda case: f"{case.native_id}/{case.native_id}.nii.gz",
        lambda case: f"{case.native_id}.nii",
    ],
)
def test_every_tool_may_keep_its_names(scored, predictions, cases, name):
    if name(cases[0]).endswith(".nii"):
        for case in cases:
            path = predictions / f"{case.id}.nii.gz"
            nibabel.save(nibabel.load(path), predictions / name(case))
            path.unlink()
    else:
        rename(predictions, cases, name)
    code, err, scores, _ = scored()
    assert code == 0 and "no prediction" not in err
    assert {score["metrics"]["dice:v1"] for score in scores.values()} == {PERFECT}


def test_a_folder_that_is_not_named_after_a_case_is_not_looked_into(scored, predictions, cases):
    rename(predictions, cases[:1], lambda case: f"fold_0/{case.id}.nii.gz")
    code, err, scores, _ = scored()
    assert code == 1 and f"case {cases[0].id}: there is no prediction" in err
    assert {score["status"] for (case, _), score in scores.items() if case == cases[0].id} == {"invalid"}


def test_the_folder_that_was_meant_is_named(bench, hearts, predictions, cases):
    rename(predictions, cases, lambda case: f"validation/{case.id}.nii.gz")
    done = bench("score", predictions, hearts.root)
    assert done.code == 3 and "give one of its folders: validation" in done.err


@pytest.mark.parametrize(
    "second", ["{}_seg.nii.gz", "{}/{}_trans.nii.gz", "{}_0000.nii.gz", "Native_{}.nii.gz", "{}_0000/{}_0000.nii.gz"]
)
def test_two_files_for_one_case_are_never_chosen_from(bench, hearts, predictions, cases, second):
    name = cases[0].id
    other = predictions / second.format(*[name] * second.count("{}"))
    other.parent.mkdir(exist_ok=True)
    shutil.copy(predictions / f"{name}.nii.gz", other)
    done = bench("score", predictions, hearts.root)
    assert done.code == 3 and f"case {name} has two predictions" in done.err and other.name in done.err


def test_one_file_for_two_cases_is_refused(hearts, predictions, cases):
    twin = msgspec.structs.replace(cases[1], native_id=cases[0].id)
    (predictions / f"{twin.id}.nii.gz").unlink()
    with pytest.raises(BenchError, match="fits two cases"):
        with_dataset(predictions, hearts, [cases[0], twin])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", "int64"])
def test_every_number_type_that_holds_whole_labels_will_do(scored, predictions, cases, dtype):
    path = predictions / f"{cases[0].id}.nii.gz"
    volume = read_label(path)
    nibabel.save(nibabel.Nifti1Image(volume.array.astype(dtype), volume.affine, dtype=dtype), path)
    code, _, scores, record = scored()
    assert code == 0 and set(dice(scores, cases[0]).values()) == {PERFECT}
    assert record.digests[f"prediction:{cases[0].id}"] == cases[0].label.data_sha256


def test_a_record_of_theirs_is_ranked_beside_ours(scored, tmp_path):
    *_, record = scored("--protocol", "semi10", "--seed", 2)
    records, problems, verified = load([tmp_path / "out"])
    assert (records, problems, set(verified.values())) == ([record], [], {0})


def test_a_folder_that_is_not_named_after_a_case_may_hold_a_name_twice(scored, predictions):
    notes = predictions / "notes"
    notes.mkdir()
    for ending in (".nii", ".nii.gz"):
        (notes / f"old{ending}").write_bytes(b"x")
    code, err, *_ = scored()
    assert code == 0 and "notes" not in err


@pytest.mark.parametrize(
    "words", [("--method", " "), ("--method", "net\udcff"), ("--method", "net", "--seed", -1), ("--out", "here")]
)
def test_what_no_record_can_say_is_refused_before_anything_is_scored(bench, hearts, predictions, tmp_path, words):
    done = bench("score", predictions, hearts.root, *words)
    assert done.code == 2 and not done.out
