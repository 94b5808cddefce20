"""From a dataset to another tool and back: what it predicted is scored as what it is."""

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from contents import tree
from PIL import Image
from tiny import tiny_dataset

from bench import peers
from bench.splits import freeze_default
from converters.dataset import Dataset
from converters.errors import EnvironmentFault
from converters.export import export
from converters.volume import Volume, read_label, read_nifti, write_nifti

SHAPE = (9, 8, 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    dataset = tiny_dataset(tmp_path_factory.mktemp("peers") / "tiny", 6, shape=SHAPE)
    freeze_default(dataset)
    return dataset


@pytest.fixture
def asked(data):
    return data.only(data.split("default").test).cases


def as_ssl4mis(given, case, out, ending=""):
    """What test_2D_fully.py of SSL4MIS writes, from the h5 volume: no origin, no axes, its own spacing, float32."""
    import h5py

    with h5py.File(given / "data" / f"{case}.h5") as file:
        image, label = file["image"][()], file["label"][()]
    for name, array in (("pred", label), ("img", image), ("gt", label)):
        made = sitk.GetImageFromArray(array.astype(np.float32))
        made.SetSpacing((1, 1, 10))
        sitk.WriteImage(made, str(out / f"{case}{ending}_{name}.nii.gz"))


def as_pymic(given, case, out, prefix=""):
    """What PyMIC's agent writes: an array of SimpleITK with the geometry of the first image."""
    image = sitk.ReadImage(str(given / "images" / f"{case}_0000.nii.gz"))
    made = sitk.GetImageFromArray(sitk.GetArrayFromImage(sitk.ReadImage(str(given / "labels" / f"{case}.nii.gz"))))
    made.CopyInformation(image)
    sitk.WriteImage(made, str(out / f"{prefix}{case}_0000.nii.gz"))


def as_nnunet(given, case, out):
    shutil.copy(given / "labelsTs" / f"{case}.nii.gz", out / f"{case}.nii.gz")


def as_monai(given, case, out):
    """What SaveImage writes as it comes, here in the axes of the scanner, LPS."""
    name = f"{case}_0000"
    (out / name).mkdir()
    label = read_label(given / "labelsTs" / f"{case}.nii.gz")
    affine = label.affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = label.affine[:3, :3] @ (SHAPE[0] - 1, SHAPE[1] - 1, 0)
    write_nifti(out / name / f"{name}_trans.nii.gz", Volume(label.array[::-1, ::-1], affine))


PEERS = {
    "nnunet": ("nnunet", as_nnunet),
    "msd": ("msd", as_nnunet),
    "monai": ("nnunet", as_monai),
    "pymic": ("pymic", as_pymic),
    "pymic with folders": ("pymic", lambda *given: as_pymic(*given, prefix="images_")),
    "ssl4mis": ("ssl4mis", as_ssl4mis),
    "ssl4mis as WSL4MIS": ("ssl4mis", lambda *given: as_ssl4mis(*given, ending=".h5")),
}


def predicted(data, asked, tmp_path, how):
    """An export, and in `theirs` what the peer would make of it if it knew everything."""
    given, write = PEERS[how]
    export(given, data, tmp_path / "given", "default")
    (tmp_path / "theirs").mkdir()
    for case in asked:
        write(tmp_path / "given", case.id, tmp_path / "theirs")
    return tmp_path / "theirs"


def brought(bench, data, theirs, tmp_path, tool, *more):
    done = bench("import-predictions", data.root, theirs, tmp_path / "ours", "--from", tool, "--json", *more)
    return done, {line["case"]: line for line in map(json.loads, done.out.splitlines())}


@pytest.mark.parametrize("how", PEERS)
def test_what_a_peer_predicts_comes_back_to_where_it_belongs(bench, data, asked, tmp_path, how):
    theirs = predicted(data, asked, tmp_path, how)
    done, told = brought(bench, data, theirs, tmp_path, how.split()[0])
    assert done.code == 0, done.err
    assert {case: line["outcome"] for case, line in told.items()} == {case.id: "written" for case in asked}
    scored = bench("score", tmp_path / "ours", data.root, "--json")
    scores = [json.loads(line) for line in scored.out.splitlines()]
    assert scored.code == 0 and len(scores) == 3 * len(asked)
    assert {score["metrics"]["dice:v1"] for score in scores} == {1.0}
    for case in asked:
        written = read_label(tmp_path / "ours" / f"{case.id}.nii.gz")
        reference = read_label(data.path(case.label.file))
        assert np.array_equal(written.affine, reference.affine) and np.array_equal(written.array, reference.array)


@pytest.mark.parametrize("kind", ["png", "nii.gz"])
def test_single_slices_are_stacked_again_by_number(bench, data, asked, tmp_path, kind):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for case in asked:
        slices = read_label(data.path(case.label.file)).array.transpose(2, 1, 0)
        for number, one in enumerate(slices, 1):
            if kind == "png":
                Image.fromarray(np.ascontiguousarray(one)).save(theirs / f"{case.id}_slice_{number}.png")
            else:
                made = sitk.GetImageFromArray(one.astype(np.float32))
                sitk.WriteImage(made, str(theirs / f"{case.id}_slice_{number}_pred.nii.gz"))
    done, told = brought(bench, data, theirs, tmp_path, "ssl4mis")
    assert done.code == 0 and {line["outcome"] for line in told.values()} == {"written"}
    for case in asked:
        found = read_label(tmp_path / "ours" / f"{case.id}.nii.gz").array
        assert np.array_equal(found, read_label(data.path(case.label.file)).array)
    first = asked[0].id
    (theirs / f"{first}_slice_2{'_pred' if kind != 'png' else ''}.{kind}").unlink()
    shutil.rmtree(tmp_path / "ours")
    done, told = brought(bench, data, theirs, tmp_path, "ssl4mis")
    assert done.code == 1 and told[first]["outcome"] == "refused"
    assert told[first]["why"] == "slices 1, 3, 4 are there; 1 to 4 are wanted"


def test_a_missing_and_an_unsound_prediction_are_told_and_the_others_come(bench, data, asked, tmp_path):
    theirs = predicted(data, asked, tmp_path, "nnunet")
    first, second = asked[0].id, asked[1].id
    (theirs / f"{first}.nii.gz").unlink()
    write_nifti(theirs / "stranger.nii.gz", Volume(np.zeros(SHAPE, np.uint8), np.eye(4)))
    done, told = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 1 and told[first] == {"case": first, "outcome": "missing", "file": None, "why": ""}
    assert list(tree(tmp_path / "ours")) == [f"{second}.nii.gz"]
    assert "1 of 2 predictions belong to no case that is asked for: stranger.nii.gz" in done.err


def _changed(path, change):
    volume = read_label(path)
    write_nifti(path, change(volume))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: Volume(np.where(v.array == 1, np.uint8(4), v.array), v.affine), "the class `ignore`, 4 in"),
        (lambda v: Volume(np.where(v.array == 1, np.uint8(255), v.array), v.affine), "the class `ignore`, 255 in"),
        (lambda v: Volume(np.where(v.array == 1, np.uint8(9), v.array), v.affine), "no labels here: 9 in"),
        (lambda v: Volume(v.array[:-1], v.affine), "shape (8, 8, 4) for a reference of (9, 8, 4)"),
        (lambda v: Volume(v.array, v.affine @ np.diag([1, 1, 2, 1])), "its affine puts a corner"),
        (lambda v: Volume(v.array + np.float32(0.5), v.affine), "are no integers"),
    ],
)
def test_an_unsound_prediction_is_refused(bench, data, asked, tmp_path, change, said):
    theirs = predicted(data, asked, tmp_path, "nnunet")
    _changed(theirs / f"{asked[0].id}.nii.gz", change)
    done, told = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 1 and told[asked[0].id]["outcome"] == "refused" and said in told[asked[0].id]["why"]
    assert list(tree(tmp_path / "ours")) == [f"{case.id}.nii.gz" for case in asked[1:]]


def test_a_prediction_of_another_export_of_ssl4mis_is_known_by_the_image_beside_it(bench, data, asked, tmp_path):
    theirs = predicted(data, asked, tmp_path, "ssl4mis")
    first, second = asked[0].id, asked[1].id
    for name in ("pred", "img"):  # as it lies in the files of the collection itself
        path = theirs / f"{first}_{name}.nii.gz"
        volume = read_nifti(path)
        write_nifti(path, Volume(volume.array[::-1], volume.affine))
    (theirs / f"{second}_img.nii.gz").unlink()
    done, told = brought(bench, data, theirs, tmp_path, "ssl4mis")
    assert done.code == 1 and told[first]["outcome"] == "refused"
    assert f"{first}_img.nii.gz is not the image that was exported" in told[first]["why"]
    assert told[second]["outcome"] == "written" and "no image beside it" in told[second]["why"]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_and_a_full_disk_is_nobodys_prediction(
    bench, data, asked, tmp_path, monkeypatch
):
    theirs = predicted(data, asked, tmp_path, "nnunet")
    first = asked[0].id
    (theirs / f"{first}.nii.gz").unlink()
    (theirs / f"{first}.nii.gz").mkdir()
    done, told = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 1 and (told[first]["outcome"], told[first]["why"]) == ("refused", "Is a directory")
    assert list(tree(tmp_path / "ours")) == [f"{case.id}.nii.gz" for case in asked[1:]]
    shutil.rmtree(tmp_path / "ours")

    def full(*_):
        raise EnvironmentFault("the disk is full")

    monkeypatch.setattr(peers, "write_nifti", full)
    done, told = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 4 and told == {} and "the disk is full" in done.err and not (tmp_path / "ours").exists()


def test_nothing_sound_or_nothing_that_fits_writes_no_folder(bench, data, asked, tmp_path):
    theirs = predicted(data, asked, tmp_path, "nnunet")
    for case in asked:
        (theirs / f"{case.id}.nii.gz").write_bytes(b"<html>")
    done, _ = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 3 and "is HTML" in done.err and not (tmp_path / "ours").exists()
    shutil.rmtree(theirs)
    theirs.mkdir()
    done, _ = brought(bench, data, theirs, tmp_path, "nnunet")
    assert done.code == 3 and "none of the 0 NIfTI files here" in done.err and not (tmp_path / "ours").exists()


def test_every_case_may_be_asked_for_and_an_old_folder_is_left_alone(bench, data, asked, tmp_path):
    theirs = tmp_path / "theirs"
    shutil.copytree(data.root / "labelsTr", theirs)
    done, told = brought(bench, data, theirs, tmp_path, "monai", "--all")
    assert done.code == 0 and len(told) == len(data.cases)
    before = tree(tmp_path / "ours")
    assert brought(bench, data, theirs, tmp_path, "monai")[0].code == 3
    assert brought(bench, data, theirs, tmp_path, "monai", "--all", "--split", "default")[0].code == 2
    assert brought(bench, data, theirs, tmp_path, "mona")[0].code == 2
    assert tree(tmp_path / "ours") == before
