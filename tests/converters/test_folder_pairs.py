"""Which files of a folder are images, masks and channels of one case, and under which id."""

from pathlib import Path

import numpy as np
import pytest
from folder_tree import SHAPE, describe, first, mask, picture, refused, save, tree

from converters.check import check
from converters.volume import read_nifti

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
