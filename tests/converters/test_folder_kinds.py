"""Every kind of file that a folder may hold, as images and as masks: pictures, frames, volumes, DICOM."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_series import plane
from folder_tree import SHAPE, converted, describe, first, mask, picture, refused, save, tree, volume
from PIL import Image
from pydicom import Dataset as Dicom

from converters import pictures
from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.phantoms import folder as phantom
from converters.volume import read_label, read_nifti

# every kind of file


KINDS = ("png", "jpeg", "tiff", "nifti", "mha", "nrrd", "dicom", "frames")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_what_was_drawn(kind: phantom.Kind, tmp_path: Path) -> None:
    quirks = phantom.Quirks(kind=kind, views=1, masks="grey", orphan=True)
    phantom.write(tmp_path / "raw", 2, 0, quirks)
    report = converted(tmp_path / "raw", tmp_path / "data")
    assert report.failures == []
    dataset = Dataset.load(report.root)
    drawn = {one.stem: one for one in phantom._drawn(2, 0, quirks)}
    assert len(dataset.cases) == (10 if kind == "frames" else 2)
    for case in dataset.cases:
        stem, _, frame = case.native_id.partition("-")
        at = slice(int(frame) - 1, int(frame)) if frame else slice(None)
        image = read_nifti(dataset.path(case.images["image"].file)).array[::-1, ::-1]
        # JPEG is lossy, in images too.
        assert np.abs(image.astype(int) - drawn[stem].image[:, :, at]).max() <= (30 if kind == "jpeg" else 0)
        assert (case.label is None) == (stem == "person02_a")
        if case.label:
            label = read_label(dataset.path(case.label.file)).array
            assert np.array_equal(label[::-1, ::-1], drawn[stem].label[:, :, at])
        assert case.geometry.spacing_known
        assert case.geometry.spacing_mm == (0.8, 0.6, 1.0 if at != slice(None) or kind in KINDS[:3] else 4.0)
    assert dataset.subjects == ("person01", "person02")
    assert check(dataset.root) == []


@pytest.mark.parametrize(("said", "told"), [("MR", ()), ("CT", ("image: the file is MR, the channel CT",))])
def test_a_series_of_another_modality_than_the_datasets_is_told(
    said: str, told: tuple[str, ...], tmp_path: Path
) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="dicom", views=1))
    toml = tmp_path / "raw" / "frugalseg.toml"
    toml.write_text(toml.read_text().replace('modality = "MR"', f'modality = "{said}"'))
    (case,) = Dataset.load(converted(tmp_path / "raw", tmp_path / "data").root).cases
    assert case.warnings == told


def test_slices_and_masks_of_slices_are_counted_against_each_other(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="dicom", views=1))
    (tmp_path / "raw" / "masks" / "person01_a" / "3.png").unlink()
    assert "4 masks of slices for 5 slices; without a partner: 3" in refused(tmp_path / "raw", tmp_path / "data")


def test_a_mask_of_a_frame_that_is_not_there_is_refused(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="frames", views=1))
    folder = tmp_path / "raw" / "masks" / "person01_a"
    (folder / "5.png").rename(folder / "6.png")
    told = refused(tmp_path / "raw", tmp_path / "data")
    assert "person01_a: 5 masks, 5 frames; no such frame: 6" in told


def test_a_frame_without_a_mask_is_unlabelled(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="frames", views=1))
    (tmp_path / "raw" / "masks" / "person01_a" / "2.png").unlink()
    dataset = Dataset.load(converted(tmp_path / "raw", tmp_path / "data").root)
    assert [case.label is None for case in dataset.cases] == [False, True, False, False, False]


@pytest.mark.fault(55)
def test_frames_of_one_recording_may_be_alike_and_two_recordings_may_not(tmp_path: Path) -> None:
    blank, drawn = np.zeros((20, 24), np.uint8), np.asarray(picture(0))[:20, :24]
    pages = [Image.fromarray(page) for page in (blank, drawn, blank)]
    for stem in ("a", "b"):
        raw = tmp_path / stem
        (raw / "images").mkdir(parents=True)
        pages[0].save(raw / "images" / f"{stem}.tif", save_all=True, append_images=pages[1:])
        describe(raw, pages="frames", masks=None, labels="")
    report = converted(tmp_path / "a", tmp_path / "data")
    assert report.failures == [] and report.cases == 3 and check(report.root) == []
    (tmp_path / "b/images/b.tif").rename(tmp_path / "a/images/b.tif")
    both = converted(tmp_path / "a", tmp_path / "both")
    assert both.cases == 0 and "the same voxels as" in both.failures[0].what


def test_pages_of_a_tiff_are_slices_or_frames_only_where_the_description_says_so(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", spacing_mm=[0.5, 0.5])
    pages = [Image.fromarray(picture(k).T.copy()) for k in range(3)]
    masks = [Image.fromarray(np.roll(mask(255), k, axis=0).T.copy()) for k in range(3)]
    for folder, stack in (("images", pages), ("masks", masks)):
        (raw / folder / "a.png").unlink()
        stack[0].save(raw / folder / "a.tif", save_all=True, append_images=stack[1:])
    assert "a.tif: 3 pages" in refused(raw, tmp_path / "data")
    describe(raw, pages="frames", spacing_mm=[0.5, 0.5])
    dataset, _ = first(raw, tmp_path / "frames")
    assert [case.id for case in dataset.cases] == ["a-0001", "a-0002", "a-0003"]
    assert dataset.subjects == ("a",)
    describe(raw, pages="slices", ndim=3, spacing_mm=[0.5, 0.5, 2])
    dataset = Dataset.load(converted(raw, tmp_path / "slices").root)
    (case,) = dataset.cases
    assert (case.geometry.shape, case.geometry.spacing_mm) == ((*SHAPE, 3), (0.5, 0.5, 2.0))
    image = read_nifti(dataset.path(case.images["image"].file)).array[::-1, ::-1]
    label = read_label(dataset.path(case.label.file)).array[::-1, ::-1]
    assert all(np.array_equal(image[:, :, k], picture(k)) for k in range(3))
    assert all(np.array_equal(label[:, :, k] * 255, np.roll(mask(255), k, axis=0)) for k in range(3))


def test_a_frame_is_read_without_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tree(tmp_path / "raw", "a", pages="frames", spacing_mm=[0.5, 0.5])
    for folder, count in (("images", 5), ("masks", 3)):
        pages = [
            Image.fromarray(mask(255).T.copy() if folder == "masks" else picture(k).T.copy()) for k in range(count)
        ]
        (raw / folder / "a.png").unlink()
        pages[0].save(raw / folder / "a.tif", save_all=True, append_images=pages[1:])
    read = []
    page = pictures._page
    monkeypatch.setattr(pictures, "_page", lambda *args: (read.append(args[3]), page(*args))[1])
    report = convert("folder", raw, tmp_path / "data")[0]
    assert [error.what for error in report.failures] == [
        f"a-{number:04d}: a.tif: 3 pages; no page {number}" for number in (4, 5)
    ]
    assert read == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


# volumes


def test_a_mask_whose_axes_run_otherwise_is_turned_and_one_that_lies_elsewhere_refused(tmp_path: Path) -> None:
    raw, rng = tmp_path / "raw", np.random.default_rng(0)
    image = rng.integers(0, 900, (5, 6, 4)).astype(np.int16)
    affine = np.array([[0, 0, 3.0, 1], [-2.0, 0, 0, 2], [0, 1.5, 0, 3], [0, 0, 0, 1]])
    label = (image > 600).astype(np.uint8)
    volume(raw / "images" / "a.nii.gz", image, affine)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(label, affine))
    volume(raw / "masks" / "a.nii.gz", np.asanyarray(canonical.dataobj), canonical.affine)
    describe(raw, labels="bone = 1", ndim=3)
    dataset = Dataset.load(converted(raw, tmp_path / "data").root)
    (case,) = dataset.cases
    assert case.geometry.source_orientation == "PSR"
    found = read_nifti(dataset.path(case.images["image"].file)).array
    assert np.array_equal(read_label(dataset.path(case.label.file)).array, found > 600)
    moved = canonical.affine.copy()
    moved[2, 3] += 1.5
    volume(raw / "masks" / "a.nii.gz", np.asanyarray(canonical.dataobj), moved)
    assert "label and channel image lie 1.5 mm apart" in refused(raw, tmp_path / "none")


def test_a_picture_is_no_mask_of_nifti_and_a_volume_none_of_a_picture(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    flat = np.diag([1.0, 1, 1, 1])
    (raw / "images" / "a.png").unlink()
    volume(raw / "images" / "a.nii.gz", picture()[..., None], flat)
    assert "which way up it lies is not said" in refused(raw, tmp_path / "data")
    (raw / "images" / "a.nii.gz").rename(raw / "masks" / "a.nii.gz")
    (raw / "masks" / "a.png").rename(raw / "images" / "a.png")
    assert "the mask lies in space, its picture does not" in refused(raw, tmp_path / "data")


def test_slices_of_any_direction_are_pictures_in_two_dimensions(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    sagittal = np.array([[0, 0, 4.0, 0], [0.5, 0, 0, 0], [0, 0.7, 0, 0], [0, 0, 0, 1]])
    volume(raw / "images" / "a.nii.gz", picture()[..., None], sagittal)
    volume(raw / "masks" / "a.nii.gz", mask(255)[..., None], sagittal)
    describe(raw)
    dataset, label = first(raw, tmp_path / "data")
    assert np.array_equal(label, mask(1))
    assert dataset.cases[0].geometry.spacing_mm == (0.5, 0.7, 1.0)
    assert "no axial one" in dataset.cases[0].warnings[0]


@pytest.mark.parametrize(("ndim", "depth"), [(2, 3), (3, 1)])
def test_volumes_are_no_pictures(ndim: int, depth: int, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    volume(raw / "images" / "a.nii.gz", np.zeros((4, 4, depth), np.int16), np.eye(4))
    describe(raw, labels="", masks=None, ndim=ndim)
    assert f"{depth} slice(s) and ndim = {ndim}" in refused(raw, tmp_path / "data")


def test_pictures_of_slices_fit_a_file_of_many_frames_whatever_their_order(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    stored = np.stack([picture(k).T.astype(np.uint16) for k in range(3)])
    dataset = plane(stored[0], (0, 0, 0), 0, "MR")
    del dataset.ImagePositionPatient
    dataset.NumberOfFrames, dataset.PixelData = 3, stored.tobytes()
    dataset.PerFrameFunctionalGroupsSequence = []
    for height in (5, 10, 0):
        place, group = Dicom(), Dicom()
        place.ImagePositionPatient = [0, 0, height]
        group.PlanePositionSequence = [place]
        dataset.PerFrameFunctionalGroupsSequence.append(group)
        save(raw / "masks" / "a" / f"{len(dataset.PerFrameFunctionalGroupsSequence):03d}.png", mask(height + 1))
    (raw / "images").mkdir()
    dataset.save_as(raw / "images" / "a.dcm", enforce_file_format=True)
    describe(raw, labels="x = 1\ny = 6\nz = 11", ndim=3, masks="masks/{stem}/{frame}.png")
    found = Dataset.load(converted(raw, tmp_path / "data").root)
    (case,) = found.cases
    image = read_nifti(found.path(case.images["image"].file)).array[::-1, ::-1]
    label = read_label(found.path(case.label.file)).array[::-1, ::-1]
    for height, (frame, code) in enumerate([(2, 1), (0, 2), (1, 3)]):
        assert np.array_equal(image[:, :, height], picture(frame))
        assert np.array_equal(label[:, :, height], mask(code))


def test_a_dicom_mask_that_is_lossy_or_a_negative_is_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    save(raw / "images" / "a.png", picture())
    (raw / "masks").mkdir()
    dataset = plane(mask(255).T.astype(np.uint16), (0, 0, 0), 0, "MR")
    dataset.save_as(raw / "masks" / "a.dcm", enforce_file_format=True)
    describe(raw)
    assert np.array_equal(first(raw, tmp_path / "data")[1], mask(1))
    for change in ({"LossyImageCompression": "01"}, {"PhotometricInterpretation": "MONOCHROME1"}):
        dataset.update(change)
        dataset.save_as(raw / "masks" / "a.dcm", enforce_file_format=True)
        assert "take the masks as they were drawn" in refused(raw, tmp_path / "none")


def test_pictures_are_masks_of_mha(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    phantom.write(raw, 1, 0, phantom.Quirks(kind="mha", views=1))
    drawn = next(phantom._drawn(1, 0, phantom.Quirks(kind="mha")))
    shutil.rmtree(raw / "masks")
    for k in range(5):
        save(raw / "masks" / f"person01_a-{k + 1}.png", drawn.label[:, :, k])
    describe(raw, labels="lung = 1\ntumour = 2", ndim=3, masks="masks/{stem}-{frame}.png")
    dataset = Dataset.load(converted(raw, tmp_path / "data").root)
    assert np.array_equal(read_label(dataset.path(dataset.cases[0].label.file)).array[::-1, ::-1], drawn.label)
