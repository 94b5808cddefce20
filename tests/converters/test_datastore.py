"""Reading for programs: files of every kind, and images with their labels."""

import dataclasses

import numpy as np
import pytest
from dicom_series import CLEAN, write_series
from PIL import Image
from tiny import EXPERT, heart, tiny_dataset

from converters.datastore import pair, pairs, read_images, series
from converters.errors import BenchError, UsageError
from converters.phantoms import folder
from converters.volume import Volume, axis_codes, write_nifti


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    return tiny_dataset(tmp_path_factory.mktemp("hearts"), 3, scribbles=True, unlabelled=1)


def test_a_pair_is_the_image_and_what_was_drawn_on_it(hearts):
    case = hearts.case("s01-es")
    found = pair(hearts, case)
    assert np.array_equal(found.label, heart("s01-es", (32, 28, 4)))
    assert found.image.shape == (1, 32, 28, 4) and found.image.dtype == np.int16
    assert found.spacing == (1.5, 1.5, 8.0)
    strokes = pair(hearts, case, annotations=EXPERT).label
    assert (strokes == 255).any() and np.array_equal(strokes[::3, ::2], found.label[::3, ::2])


def test_cases_nobody_annotated_have_no_label_and_annotations_are_known_by_name(hearts):
    assert [one.label is None for one in pairs(hearts)] == [False] * 4 + [True] * 2
    with pytest.raises(UsageError, match="no annotations 'dots'"):
        pair(hearts, hearts.cases[0], annotations="dots")


def test_slices_are_cut_along_the_axis_of_the_stack(hearts):
    whole = pair(hearts, hearts.cases[0])
    slices = list(whole.slices())
    assert [one.slice for one in slices] == [0, 1, 2, 3]
    assert np.array_equal(np.stack([one.image for one in slices], -1), whole.image)
    assert np.array_equal(np.stack([one.label for one in slices], -1), whole.label)
    assert slices[0].spacing == (1.5, 1.5)


def test_the_cases_of_a_subject_are_a_series(hearts):
    assert {subject: [case.id for case in cases] for subject, cases in series(hearts).items()} == {
        name: [f"{name}-ed", f"{name}-es"] for name in ("s00", "s01", "s02")
    }


def test_a_file_that_is_not_the_one_described_is_refused(hearts, tmp_path):
    import shutil

    copy = dataclasses.replace(hearts, root=shutil.copytree(hearts.root, tmp_path / "copy"))
    shutil.copy(copy.root / "imagesTr/s01-ed_0000.nii.gz", copy.root / "imagesTr/s00-ed_0000.nii.gz")
    with pytest.raises(BenchError, match="not those that the sidecar names"):
        pair(copy, copy.cases[0])


def test_a_volume_comes_in_ras_and_a_series_of_dicom_files_too(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    write_nifti(tmp_path / "a.nii.gz", Volume(array, np.diag([-1.0, -2.0, 3.0, 1.0])))
    (found,) = read_images(tmp_path / "a.nii.gz")
    assert axis_codes(found["image"].affine) == "RAS"
    assert np.array_equal(found["image"].array, array[::-1, ::-1])
    write_series(tmp_path / "series")
    (found,) = read_images(tmp_path / "series")
    assert np.array_equal(found["image"].array, CLEAN[::-1, ::-1])


@pytest.mark.parametrize(("kind", "ndim", "count"), [("frames", 2, 5), ("png", 2, 1), ("mha", 3, 1), ("dicom", 3, 1)])
def test_pictures_frames_and_volumes_are_read_by_one_name(kind, ndim, count, tmp_path):
    folder.write(tmp_path, 1, 0, folder.Quirks(kind=kind, views=1))
    (path,) = (tmp_path / "images").iterdir()
    found = read_images(path, ndim)
    assert len(found) == count
    assert {one["image"].shape[2] for one in found} == {1 if ndim == 2 else 5}
    with pytest.raises(BenchError):
        read_images(path, 3 if ndim == 2 and kind == "png" else 2 if kind in ("mha", "dicom") else 3)


def test_colours_are_three_channels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (found,) = read_images(tmp_path / "a.png", 2, rgb=True, spacing=(0.5, 0.25))
    assert list(found) == ["red", "green", "blue"] and found["red"].spacing == (0.5, 0.25, 1.0)
    assert np.array_equal(found["green"].array[..., 0], pixels[::-1, ::-1, 1].T)
    with pytest.raises(BenchError, match="in colours"):
        read_images(tmp_path / "a.png", 2)
