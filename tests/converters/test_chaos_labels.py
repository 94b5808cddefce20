"""CHAOS labels: faults 26 to 29 of the acceptance list on made-up trees, and the real CT case where it is at hand."""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from chaos_tree import CT, T1, T2, labels_of, load, place, redraw, reverse

from converters.errors import BenchError
from converters.files import natural_key
from converters.phantoms import chaos as phantom
from converters.source import Options


@pytest.mark.fault(26)
def test_a_grey_outside_every_range_is_refused_with_count_and_file(chaos_raw: Path) -> None:
    path = labels_of(chaos_raw, T1)[5]

    def stain(grey: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        stained = grey.copy()
        stained[0, :7] = 100
        return stained

    redraw(path, stain)
    with pytest.raises(BenchError, match=rf"{path.name}: values outside the label map: 100 \(7 pixels\)"):
        load(chaos_raw, "chaos-mr-t1", "mr-1")


def test_greys_that_differ_a_little_mean_the_same(chaos_raw: Path) -> None:
    clean = load(chaos_raw, "chaos-mr-t1", "mr-1").label
    for path in labels_of(chaos_raw, T1):
        redraw(path, lambda grey: np.where(grey > 0, grey - 2, 0).astype(np.uint8))
    loaded = load(chaos_raw, "chaos-mr-t1", "mr-1").label
    assert clean is not None and loaded is not None and np.array_equal(clean.array, loaded.array)


def test_ct_labels_saved_again_in_8_bits_mean_the_same(chaos_raw: Path) -> None:
    clean = load(chaos_raw, "chaos-ct", "ct-2").label
    for path in labels_of(chaos_raw, CT):
        redraw(path, lambda bits: bits.astype(np.uint8) * 255)
    loaded = load(chaos_raw, "chaos-ct", "ct-2").label
    assert clean is not None and loaded is not None and np.array_equal(clean.array, loaded.array)


@pytest.mark.fault(28)
def test_image_and_label_of_different_size_are_refused(chaos_raw: Path) -> None:
    redraw(labels_of(chaos_raw, T2)[3], lambda grey: grey[:, 1:])
    with pytest.raises(BenchError, match=r"the label has .* pixels, the image"):
        load(chaos_raw, "chaos-mr-t2", "mr-1")


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("study", "dataset", "told"),
    [(CT, "chaos-ct", "inside the liver label the mean is"), (T1, "chaos-mr-t1", "liver lies below the")],
)
def test_labels_in_reversed_order_are_refused(chaos_raw: Path, study: str, dataset: str, told: str) -> None:
    reverse(labels_of(chaos_raw, study))
    with pytest.raises(BenchError, match=told):
        load(chaos_raw, dataset, "ct-2" if study == CT else "mr-1")


@pytest.mark.fault(29)
def test_mirrored_labels_are_refused(chaos_raw: Path) -> None:
    for path in labels_of(chaos_raw, T2):
        redraw(path, lambda grey: grey[:, ::-1])
    with pytest.raises(BenchError, match="lies left of"):
        load(chaos_raw, "chaos-mr-t2", "mr-1")


@pytest.mark.fault(29)
def test_labels_outside_the_body_and_empty_labels_are_refused(chaos_raw: Path) -> None:
    def corner(grey: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        moved = np.zeros_like(grey)
        moved[:3, :3] = 63
        return moved

    for path in labels_of(chaos_raw, T2):
        redraw(path, corner)
    with pytest.raises(BenchError, match="does not overlap the body"):
        load(chaos_raw, "chaos-mr-t2", "mr-1")
    for path in labels_of(chaos_raw, CT):
        redraw(path, np.zeros_like)
    with pytest.raises(BenchError, match="the label is empty"):
        load(chaos_raw, "chaos-ct", "ct-2")


@pytest.mark.fault(15)
def test_the_real_ct_case_is_right(shared_data: Path) -> None:
    loaded = load(shared_data / "chaos", "chaos-ct", "ct-3")
    image, label = loaded.images["ct"], loaded.label
    assert label is not None
    assert image.shape == (512, 512, 26) and image.array.dtype == np.int16
    assert image.spacing[2] == 6.0
    assert image.array.min() == -1000
    assert 120 <= image.array[label.array == 1].mean() <= 160
    body = image.affine @ [*np.argwhere(image.array > -300).mean(axis=0), 1]
    assert place(label, 1)[0] > body[0] + 40
    assert any("SliceThickness says 3.2 mm; the positions step 6 mm" in told for told in loaded.warnings)


@pytest.mark.fault(29)
def test_the_real_ct_case_paired_as_the_stacks_come_is_refused(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "chaos/Train_Sets/CT/3", tmp_path / "CT/3")
    reverse(labels_of(tmp_path, "CT/3"))
    with pytest.raises(BenchError, match="inside the liver label the mean is"):
        load(tmp_path, "chaos-ct", "ct-3")


def drop(raw: Path, images: list[int], labels: list[int]) -> None:
    """Remove slices and labels of the CT by their places in the order of names, which is from head to foot."""
    for pattern, gone in (("DICOM_anon/*.dcm", images), ("Ground/*.png", labels)):
        files = sorted((raw / CT).glob(pattern), key=natural_key)
        for place_of_file in gone:
            files[place_of_file].unlink()


@pytest.mark.fault(5)
@pytest.mark.parametrize("names", ["i", "IMG"])
def test_over_a_gap_each_slice_keeps_its_own_label(tmp_path: Path, names: str) -> None:
    phantom.write(tmp_path, 2, 0, phantom.Quirks(ct_names=names))
    clean = load(tmp_path, "chaos-ct", "ct-2")
    drop(tmp_path, [9], [9] if names == "IMG" else [])
    part = load(tmp_path, "chaos-ct", "ct-2", Options(allow_gaps=True))
    assert clean.label is not None and part.label is not None
    kept = part.label.shape[2]
    assert kept == 9  # of names 0 to 8, which are the uppermost slices
    assert np.array_equal(part.label.array, clean.label.array[..., -kept:])
    assert np.array_equal(part.images["ct"].array, clean.images["ct"].array[..., -kept:])


@pytest.mark.fault(5)
def test_labels_that_count_from_another_number_are_never_paired_one_off(tmp_path: Path) -> None:
    phantom.write(tmp_path, 2, 0, phantom.Quirks(ct_names="IMG"))
    drop(tmp_path, [-1], [])
    with pytest.raises(BenchError, match="16 label slices for 15 image slices, which count from numbers of their own"):
        load(tmp_path, "chaos-ct", "ct-2", Options(allow_gaps=True))
