import gzip
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicom_series import plane
from folder_tree import SHAPE, converted, describe, mask, picture, save, tree
from PIL import Image
from pydicom import Dataset as Dicom

from converters import pictures
from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.folder_config import FolderConfig
from converters.folder_read import read_config
from converters.phantoms import folder as phantom
from converters.source import Options, found
from converters.volume import read_label, read_nifti


def first(raw: Path, out: Path) -> tuple[Dataset, np.ndarray]:
    """The dataset, and its first label map as (columns, rows)."""
    report = converted(raw, out)
    assert report.failures == []
    dataset = Dataset.load(report.root)
    label = next(case.label for case in dataset.cases if case.label)
    return dataset, read_label(dataset.path(label.file)).array[::-1, ::-1, 0]


def refused(raw: Path, out: Path) -> str:
    """What is wrong with the only case, or with the folder."""
    try:
        report = converted(raw, out)
    except BenchError as error:
        assert not out.exists()
        return str(error)
    assert not list(out.rglob("*.nii.gz"))
    return "\n".join(map(str, report.failures))


# pairing


def test_images_and_masks_of_one_stem_make_a_case(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "p1_left", "p1_right", "p2_left", subject="^(p[0-9]+)_")
    dataset, label = first(raw, tmp_path / "data")
    assert [case.id for case in dataset.cases] == ["p1-left", "p1-right", "p2-left"]
    assert dataset.subjects == ("p1", "p2")
    assert [case.native_id for case in dataset.cases] == ["p1_left", "p1_right", "p2_left"]
    assert np.array_equal(label, mask(255) // 255)
    assert (dataset.file.bench.ndim, dataset.labels) == (2, {"lesion": 1})
    assert [file.path for file in dataset.case("p1-left").sources] == [
        "images/p1_left.png",
        "masks/p1_left.png",
        "frugalseg.toml",
    ]
    assert check(dataset.root) == []


def test_stems_reach_through_folders_and_suffixes_differ(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    save(raw / "images" / "north" / "1.JPG", picture())
    save(raw / "masks" / "north" / "1.tif", mask(255))
    describe(raw)
    dataset, _ = first(raw, tmp_path / "data")
    assert [case.id for case in dataset.cases] == ["north-1"]


def test_an_image_without_a_mask_is_unlabelled_and_said_to_be(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", "b", "c")
    (raw / "masks" / "b.png").unlink()
    dataset, _ = first(raw, tmp_path / "data")
    case = dataset.case("b")
    assert (case.label, case.warnings) == (None, ("no mask for this image",))
    assert case.images["image"].file == "imagesUn/b_0000.nii.gz"
    assert "1 of 3 images have no mask: b" in dataset.file.bench.warnings


def test_a_mask_without_an_image_is_refused_with_both_counts(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", *"abcdefgh")
    for stem in "bcdefg":
        (raw / "images" / f"{stem}.png").unlink()
    told = refused(raw, tmp_path / "data")
    assert "8 masks, 2 images; 6 mask(s) without an image: masks/b.png" in told
    assert "masks/f.png and 1 more" in told


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    save(raw / "images" / "a.bmp", picture(3))
    assert "two files for 'a': images/a.bmp and images/a.png" in refused(raw, tmp_path / "data")
    (raw / "images" / "a.bmp").unlink()
    save(raw / "masks" / "a.bmp", mask(255))
    assert "two files for 'a': masks/a.bmp and masks/a.png" in refused(raw, tmp_path / "data")


def test_masks_lie_beside_their_images_with_a_suffix(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for stem in ("benign (1)", "benign (2)"):
        save(raw / "all" / f"{stem}.png", picture(len(stem)))
        save(raw / "all" / f"{stem}_mask.png", mask(255))
    save(raw / "all" / "benign (2).png", picture(9))
    describe(raw, images="all/{stem}.png", masks="all/{stem}_mask.png")
    dataset, _ = first(raw, tmp_path / "data")
    assert [case.id for case in dataset.cases] == ["benign-1", "benign-2"]


def test_what_is_excluded_is_not_there_and_what_is_held_out_is_marked(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", "b", "c", exclude=["images/b*", "masks/b.png"], test="images/c.png")
    dataset, _ = first(raw, tmp_path / "data")
    assert [(case.id, case.label.file) for case in dataset.cases if case.label] == [
        ("a", "labelsTr/a.nii.gz"),
        ("c", "labelsTs/c.nii.gz"),
    ]


def test_files_that_nobody_can_read_are_counted(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw")
    for name in ("x.gif", "y.gif", "notes.txt"):
        (raw / "images" / name).write_bytes(b"GIF89a")
    dataset, _ = first(raw, tmp_path / "data")
    assert "left aside beside the images: .gif (2), .txt (1)" in dataset.file.bench.warnings


def test_letters_beyond_ascii_are_given_their_nearest_and_clashes_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "Übersicht", "a b (1)")
    dataset, _ = first(raw, tmp_path / "data")
    assert [case.id for case in dataset.cases] == ["a-b-1", "ubersicht"]
    assert "images/Übersicht.png" in {file.path for file in dataset.case("ubersicht").sources}
    assert "several cases would have one id" in refused(tree(tmp_path / "two", "é", "e"), tmp_path / "other")


@pytest.mark.parametrize("stem", ["CON", "心", "x" * 70])
def test_stems_that_make_no_id_are_refused_with_a_way_out(stem: str, tmp_path: Path) -> None:
    told = refused(tree(tmp_path / "raw", stem), tmp_path / "data")
    assert "cannot be a case id" in told
    assert "case = 'pattern with (a group)'" in told


def test_a_part_of_the_stem_can_be_the_id(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "x" * 70 + "_7", "x" * 70 + "_8", case="_([0-9])$", subject="_([0-9])$")
    dataset, _ = first(raw, tmp_path / "data")
    assert [(case.id, case.subject) for case in dataset.cases] == [("7", "7"), ("8", "8")]
    assert "does not fit 'q'" in refused(tree(tmp_path / "odd", "q", subject="([0-9])"), tmp_path / "other")


def test_composed_and_decomposed_letters_are_one_stem(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    save(raw / "images" / "o\u0308l.png", picture())
    save(raw / "masks" / "\u00f6l.png", mask(255))
    describe(raw)
    assert first(raw, tmp_path / "data")[0].cases[0].label is not None


def test_ids_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    assert "several cases would have one id: A, a" in refused(tree(tmp_path / "raw", "A", "a"), tmp_path / "data")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"masks": "labels"}, "no masks where the description says"),
        ({"images": "scans"}, "no images where the description says"),
        ({"test": "images/x*"}, "test: 'images/x*' fits no file"),
        ({"exclude": ["images/a.png", "images/q"]}, "exclude: 'images/q' fits no file"),
    ],
)
def test_patterns_that_fit_nothing_are_refused(keys: dict[str, object], fault: str, tmp_path: Path) -> None:
    assert fault in refused(tree(tmp_path / "raw", **keys), tmp_path / "data")


# values


def test_colours_become_codes_in_the_order_of_the_description(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels='lung = "#00FF80"\ntumour = ["#ff4000", "#ff4001"]')
    drawn = np.array([[0, 0, 0], [0, 255, 128], [255, 64, 1]], np.uint8)[mask(1, 2)]
    save(raw / "masks" / "a.png", drawn)
    dataset, label = first(raw, tmp_path / "data")
    assert np.array_equal(label, mask(1, 2))
    info = dataset.file.bench.label_info
    assert (info["lung"].colour, info["tumour"].colour) == ("#00ff80", "#ff4000")


def test_a_palette_gives_its_colours_or_its_numbers(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels="lung = 1\ntumour = 2", palette="index")
    indexed = Image.fromarray(mask(1, 2).T.copy(), "P")
    indexed.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    indexed.save(raw / "masks" / "a.png")
    assert np.array_equal(first(raw, tmp_path / "data")[1], mask(1, 2))
    describe(raw, labels='lung = "#800000"\ntumour = "#008000"')
    assert np.array_equal(first(raw, tmp_path / "colours")[1], mask(1, 2))
    describe(raw, labels="lung = 1\ntumour = 2")
    assert 'set palette = "index"' in refused(raw, tmp_path / "none")


def test_ranges_are_taken_where_they_are_written(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels='edge = "1-254"\nlesion = 255')
    save(raw / "masks" / "a.png", mask(255, 77))
    assert np.array_equal(first(raw, tmp_path / "data")[1], mask(2, 1))


def test_values_that_the_description_lacks_are_counted_and_never_rounded(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    save(raw / "masks" / "a.png", mask(255, 254))
    assert "a.png: values outside the description: 254 (2 pixels)" in refused(raw, tmp_path / "data")
    describe(raw, labels='lesion = "#ffffff"')
    assert "#fefefe (2 pixels)" in refused(raw, tmp_path / "data")


def test_ignored_values_are_255_and_another_background_is_taken(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels="lesion = 9", background=[0, 3], ignore=128)
    save(raw / "masks" / "a.png", np.where(mask(9, 128) == 0, np.uint8(3), mask(9, 128)))
    dataset, label = first(raw, tmp_path / "data")
    assert np.array_equal(label, mask(1, 255))
    assert dataset.cases[0].label.annotated_fraction < 1


def test_masks_of_single_structures_overlap_where_the_description_says_so(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    places = {"lung": "lung/{stem}.png", "tumour": "tumour/{stem}.png"}
    shutil.rmtree(raw / "masks")
    save(raw / "lung" / "a.png", mask(255))
    save(raw / "tumour" / "a.png", mask(255, 255)[::-1])
    describe(raw, labels='lung = 255\ntumour = "1-255"', masks=places)
    told = refused(raw, tmp_path / "data")
    assert "lung and tumour overlap in 1 pixels" in told and "overlaps =" in told
    describe(raw, labels='lung = 255\ntumour = "1-255"', masks=places, overlaps=[["tumour", "lung"]])
    dataset, label = first(raw, tmp_path / "data")
    assert dataset.file.labels == {"background": 0, "lung": (1, 3), "tumour": (2, 3)}
    assert np.array_equal(np.isin(label, (1, 3)), mask(1) == 1)
    assert np.array_equal(np.isin(label, (2, 3)), mask(1, 1)[::-1] == 1)
    assert check(dataset.root) == []


def test_what_one_mask_of_several_ignores_is_ignored(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    save(raw / "stones" / "a.png", mask(0, 128))
    describe(raw, "lesion = 255\nstone = 200", masks={"lesion": "masks", "stone": "stones"}, ignore=128)
    assert np.array_equal(first(raw, tmp_path / "data")[1], mask(1, 255))


def test_an_absent_mask_of_one_structure_is_refused_unless_it_means_nothing_there(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", "b")
    places = {"lesion": "masks/{stem}.png", "stone": "stones/{stem}.png"}
    save(raw / "stones" / "b.png", mask(0, 255)[::-1])
    describe(raw, labels="lesion = 255\nstone = 255", masks=places)
    report = converted(raw, tmp_path / "data")
    assert [error.what for error in report.failures] == ["a: no mask of stone; there is one of lesion"]
    describe(raw, labels="lesion = 255\nstone = 255", masks=places, absent="empty")
    dataset, _ = first(raw, tmp_path / "other")
    assert [sorted(case.label.voxels) for case in dataset.cases] == [["0", "1"], ["0", "1", "2"]]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0.5, "3 values are no whole numbers"),
        (-1.0, "-1 (3 voxels)"),
        (1e9, "are no map of structures"),
        (300.0, "300 (3"),
    ],
)
def test_masks_in_space_hold_whole_numbers_that_the_description_knows(value: float, fault: str, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    volume(raw / "images" / "a.nii.gz", np.stack([picture(k) for k in range(3)], axis=2), np.eye(4))
    drawn = np.stack([np.where(mask(255) == 0, 0.0, part) for part in (1.0, value, 1.0)], axis=2).astype(np.float32)
    volume(raw / "masks" / "a.nii.gz", drawn, np.eye(4))
    describe(raw, labels="a = 1\nb = 2", ndim=3)
    assert fault in refused(raw, tmp_path / "data")


def test_values_beyond_a_byte_and_below_zero_have_codes_where_they_are_named(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    volume(raw / "images" / "a.nii.gz", np.stack([picture(k) for k in range(3)], axis=2), np.eye(4))
    drawn = np.stack([mask(255)] * 3, axis=2).astype(np.int16) // 255 * np.array([1001, -7, 2], np.int16)
    volume(raw / "masks" / "a.nii.gz", drawn, np.eye(4))
    describe(raw, labels="a = 1001\nb = '-9--2'\nc = 2", ndim=3)
    dataset = Dataset.load(converted(raw, tmp_path / "data").root)
    found = read_label(dataset.path(dataset.cases[0].label.file)).array
    assert np.array_equal(found, np.stack([mask(1)] * 3, axis=2) * np.array([1, 2, 3]))


# channels and spacing


def test_channels_lie_in_files_of_their_own(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for stem in ("a", "b"):
        save(raw / f"{stem}_t1.png", picture(1))
        save(raw / f"{stem}_t2.png", picture(ord(stem)))
        save(raw / f"{stem}_seg.png", mask(255))
    labels = 'lesion = 255\n[channels.t1]\nimages = "{stem}_t1.png"\n[channels.t2]\nimages = "{stem}_t2.png"'
    describe(raw, labels=labels, images=None, masks="{stem}_seg.png")
    # One channel is the same in both cases, which is a copy for the driver.
    save(raw / "b_t1.png", picture(5))
    dataset, _ = first(raw, tmp_path / "data")
    assert dataset.file.channel_names == {"0": "t1", "1": "t2"}
    image = read_nifti(dataset.path(dataset.case("b").images["t2"].file))
    assert np.array_equal(image.array[::-1, ::-1, 0], picture(ord("b")))
    (raw / "a_t2.png").unlink()
    assert "1 of 2 cases have channel t2; without it: a" in refused(raw, tmp_path / "none")


def test_colour_pictures_are_three_channels_only_where_that_is_asked(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", rgb=True)
    colours = np.stack([picture(k) for k in range(3)], axis=-1)
    save(raw / "images" / "a.png", colours)
    dataset, _ = first(raw, tmp_path / "data")
    assert list(dataset.cases[0].images) == ["red", "green", "blue"]
    for k, image in enumerate(dataset.cases[0].images.values()):
        assert np.array_equal(read_nifti(dataset.path(image.file)).array[::-1, ::-1, 0], colours[..., k])
    describe(raw)
    assert "rgb = true in the TOML makes three channels of it" in refused(raw, tmp_path / "none")


def test_pictures_without_a_spacing_count_in_pixels(tmp_path: Path) -> None:
    dataset, _ = first(tree(tmp_path / "raw"), tmp_path / "data")
    assert all(not case.geometry.spacing_known for case in dataset.cases)
    assert "distances are in pixels" in " ".join(dataset.file.bench.warnings)
    dataset, _ = first(tree(tmp_path / "said", spacing_mm=[0.2, 0.3]), tmp_path / "known")
    geometry = dataset.cases[0].geometry
    assert (geometry.spacing_known, geometry.spacing_mm, geometry.shape) == (True, (0.2, 0.3, 1.0), (*SHAPE, 1))
    assert dataset.file.bench.warnings == ()


def test_an_image_and_a_mask_of_different_size_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    save(raw / "masks" / "a.png", mask(255)[:-1])
    assert "label has 6x5x1 voxels, channel image has 7x5x1" in refused(raw, tmp_path / "data")


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


def volume(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    nib.save(image, path)


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


# the TOML and the driver


def test_without_a_description_a_draft_is_offered_that_works_once_filled_in(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw")
    save(raw / "masks" / "a.png", mask(255, 7))
    (raw / "frugalseg.toml").unlink()
    told = refused(raw, tmp_path / "data")
    assert "there is no frugalseg.toml" in told
    draft = told.split("\n\n", 1)[1]
    assert "structure-1 = 7  # 2 pixels" in draft and "structure-2 = 255  # 6 pixels" in draft
    (raw / "frugalseg.toml").write_text(draft.replace('"..."', '"MR"'), encoding="utf-8")
    dataset, _ = first(raw, tmp_path / "data")
    assert dataset.labels == {"structure-1": 1, "structure-2": 2}


def test_a_changed_description_converts_again_and_the_same_writes_nothing(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a", labels="lesion = 255")
    assert converted(raw, tmp_path / "data").unchanged == 0
    assert converted(raw, tmp_path / "data").unchanged == 1
    describe(raw, labels="lesion = 255", background=[0, 1])
    assert converted(raw, tmp_path / "data").unchanged == 0


def test_the_description_may_lie_elsewhere(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", "a")
    elsewhere = (raw / "frugalseg.toml").rename(tmp_path / "other.toml")
    report = converted(raw, tmp_path / "data", config=elsewhere)
    assert [file.path for file in Dataset.load(report.root).cases[0].sources][-1] == "elsewhere/other.toml"


def test_nothing_that_identifies_a_person_leaves_a_dicom_picture(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 1, 0, phantom.Quirks(kind="frames", views=1))
    report = converted(tmp_path / "raw", tmp_path / "data")
    for path in report.root.rglob("*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert b"Made^Up" not in data, path


# the phantom's own traps, and the real thing


def test_a_person_of_many_images_is_one_subject(tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 3, 0, phantom.Quirks(letters=True, test=1))
    ((info, cases),) = found("folder", tmp_path / "raw", Options())
    assert info.name == "made-up-lungs"
    assert [(case.native_id, case.subject, case.held_out) for case in cases][-2:] == [
        ("Groe 03-Koln-a", "Groe 03-Koln", True),
        ("Groe 03-Koln-b", "Groe 03-Koln", True),
    ]
    phantom.write(tmp_path / "odd", 1, 0, phantom.Quirks(lonely=True))
    with pytest.raises(BenchError, match="without an image: masks/nobody"):
        found("folder", tmp_path / "odd", Options())


def documented() -> dict[str, str]:
    """The TOMLs of docs/folder.md by the names of their datasets."""
    text = (Path(__file__).parents[2] / "docs" / "folder.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return {re.match(r'name = "(.+)"', block)[1]: block for block in blocks}


@pytest.mark.parametrize("name", sorted(documented()))
def test_the_examples_in_the_documentation_are_sound(name: str, tmp_path: Path) -> None:
    (tmp_path / "frugalseg.toml").write_text(documented()[name], encoding="utf-8")
    assert read_config(tmp_path / "frugalseg.toml").name == name


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "folder.md").read_text(encoding="utf-8")
    table = "".join(line for line in text.splitlines() if line.startswith("| `"))
    assert [key for key in FolderConfig.__struct_fields__ if f"`{key}`" not in table and f"`[{key}" not in table] == []


def test_real_spinal_cords_in_three_orientations(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "spinalcord"
    config = tmp_path / "cord.toml"
    config.write_text(documented()["spinalcord"], encoding="utf-8")
    (report,) = convert("folder", source, tmp_path / "data", options=Options(config=config))
    assert report.failures == []
    dataset = Dataset.load(report.root)
    orientations = {case.id: case.geometry.source_orientation for case in dataset.cases}
    assert orientations == {"t1w": "RAS", "t2": "PSR", "t2s": "LAS"}
    assert dataset.subjects == ("t",)
    for case in dataset.cases:
        names = [file.path for file in case.sources]
        for name, file in zip(names, (case.images["image"].file, case.label.file), strict=False):
            canonical = nib.as_closest_canonical(nib.load(source / name))
            volume = read_nifti(dataset.path(file))
            assert np.array_equal(volume.array, np.asanyarray(canonical.dataobj))
            assert np.allclose(volume.affine, canonical.affine, atol=1e-4)
    assert check(dataset.root) == []


def test_real_grey_matter_lies_over_the_cord(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "spinalcord"
    config = tmp_path / "grey.toml"
    config.write_text(documented()["spinalcord-gm"], encoding="utf-8")
    (report,) = convert("folder", source, tmp_path / "data", options=Options(config=config))
    assert report.failures == []
    dataset = Dataset.load(report.root)
    label = read_label(dataset.path(dataset.cases[0].label.file)).array
    for name, codes in (("t2s_seg", (1, 3)), ("t2s_gmseg_manual", (2, 3))):
        canonical = nib.as_closest_canonical(nib.load(source / f"{name}.nii.gz"))
        assert np.array_equal(np.isin(label, codes), np.asanyarray(canonical.dataobj) == 1)
    assert check(dataset.root) == []
