"""Slices of volumes as pictures: where they lie, what they hold, whose they are."""

import numpy as np
import pytest
from tiny import tiny_dataset

from bench.splits import freeze_default
from converters.check import check
from converters.convert import write
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.plan import planned
from converters.sliced import Slice, Slicing, Stack, eight_bits, slice_of, sliced
from converters.volume import read_label, read_nifti


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """Five people with one case each that is taken, in slices of 8 mm."""
    return tiny_dataset(tmp_path_factory.mktemp("sliced") / "tiny", 5, shape=(16, 14, 3))


def made(hearts, *, bits=16, alone=False, name="sliced"):
    first = hearts.__class__(hearts.root, hearts.file, tuple(c for c in hearts.cases if c.id.endswith("ed")))
    found = sliced([Stack(first, "cine", "ed")], Slicing(name, "left", bits, alone))
    report = write(planned(hearts.root.parent, hearts.root.parent, found))
    assert report.failures == [] and check(report.root) == []
    return Dataset.load(report.root)


def test_a_slice_stays_where_it_was_with_its_values_and_the_one_structure(hearts):
    found = made(hearts)
    assert len(found.cases) == 5 * 3 and found.subjects == tuple(f"s0{n}" for n in range(5))
    assert (found.channels, found.labels, found.file.bench.ndim) == (("mr",), {"left": 1}, 2)
    case = found.case("s03-ed-002")
    volume, label = (hearts.root / file for file in ("imagesTr/s03-ed_0000.nii.gz", "labelsTr/s03-ed.nii.gz"))
    plane = read_nifti(found.path(case.images["mr"].file))
    whole = read_nifti(volume)
    assert np.array_equal(plane.array[:, :, 0], whole.array[:, :, 2])
    assert np.allclose(plane.affine @ [0, 0, 0, 1], whole.affine @ [0, 0, 2, 1])
    mask = read_label(found.path(case.label.file)).array[:, :, 0]
    assert np.array_equal(mask, (read_label(label).array[:, :, 2] == 3).astype(np.uint8)) and mask.any()
    assert case.geometry.spacing_mm == (1.5, 1.5, 8.0)


def test_eight_bits_end_at_the_second_largest_value():
    plane = np.array([[[-4]], [[0]], [[96]], [[4000]]], np.int16)
    assert eight_bits(plane).ravel().tolist() == [0, 10, 255, 255]
    assert eight_bits(np.full((2, 2, 1), 7)).tolist() == np.zeros((2, 2, 1)).tolist()
    assert eight_bits(np.array([[[3]], [[5]]])).ravel().tolist() == [0, 255]
    assert len(np.unique(eight_bits(np.arange(4096, dtype=np.int16).reshape(64, 64, 1)))) == 256


def test_alone_a_slice_is_a_subject_and_the_card_says_so(hearts):
    found = made(hearts, bits=8, alone=True, name="sliced-leaky")
    assert found.subjects == tuple(case.id for case in found.cases)
    assert any("tears patients apart" in warning for warning in found.file.bench.warnings)
    assert found.file.bench.preparation["grey_levels"].startswith("256 levels")
    split = freeze_default(found)
    torn = {slice_of(case).patient for case in split.train} & {slice_of(case).patient for case in split.test}
    assert torn
    other = made(hearts, bits=8, name="sliced-8")
    assert not any("apart" in warning for warning in other.file.bench.warnings)
    assert [c.images["mr"].data_sha256 for c in other.cases] == [c.images["mr"].data_sha256 for c in found.cases]


def test_a_second_time_nothing_is_written(hearts):
    first = made(hearts, name="twice")
    stamps = {path: path.stat().st_mtime_ns for path in first.root.rglob("*.nii.gz")}
    made(hearts, name="twice")
    assert stamps == {path: path.stat().st_mtime_ns for path in first.root.rglob("*.nii.gz")}


def test_ids_say_whose_slice_it_is():
    assert slice_of("mr-21-t1-007") == Slice("mr-21", "t1", 7)
    for wrong in ("mr-21", "007", "mr-1-t1-x"):
        with pytest.raises(BenchError, match="no id of a slice"):
            slice_of(wrong)


def test_what_is_not_there_is_named(hearts):
    for stack, slicing in (
        (Stack(hearts, "t1", "t1"), Slicing("x", "left", 8, False)),
        (Stack(hearts, "cine", "t1"), Slicing("x", "liver", 8, False)),
    ):
        with pytest.raises(BenchError, match=r"no channel t1 or|no structure liver"):
            sliced([stack], slicing)
