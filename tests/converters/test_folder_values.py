"""What values, colours and palettes of a mask become codes, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from folder_tree import converted, describe, first, mask, picture, refused, save, tree, volume
from PIL import Image

from converters.check import check
from converters.dataset import Dataset
from converters.volume import read_label


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
