"""Faults of NIfTI files and label maps on the command line: the case is named and left out, its neighbours convert."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from acdc_tree import AFFINE, acdc_tree, frame, save
from broken_nifti import FAULTS, write_bomb
from outcomes import measured, refused

from converters.phantoms import chaos


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return acdc_tree(tmp_path / "raw")


@pytest.mark.fault(31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41)
@pytest.mark.parametrize(("data", "told"), FAULTS.values(), ids=FAULTS)
def test_a_broken_image_is_named_and_its_neighbours_convert(
    bench, raw: Path, tmp_path: Path, data: bytes, told: str
) -> None:
    frame(raw, 1).write_bytes(data)
    done = bench("convert", "acdc", raw, tmp_path / "data", "--json")
    refused(done, tmp_path / "data", "patient001-ed", told, others=3)


@pytest.mark.fault(36)
@pytest.mark.parametrize(("packed", "right"), [(True, "image.nii.gz"), (False, "image.nii")])
def test_a_wrong_ending_is_to_be_renamed(tmp_path: Path, packed: bool, right: str) -> None:
    from converters.errors import BenchError
    from converters.volume import read_nifti

    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), AFFINE), tmp_path / right)
    wrong = (tmp_path / right).rename(tmp_path / ("image.nii" if packed else "image.nii.gz"))
    with pytest.raises(BenchError, match="is gzipped" if packed else "is not gzipped") as error:
        read_nifti(wrong)
    assert error.value.mend == f"rename it to {right}"


@pytest.mark.fault(38, 45)
@pytest.mark.parametrize("size", [(5, 4, 3), (32767, 32767, 32767)], ids=["bomb", "dims"])
def test_a_bomb_and_huge_dims_take_no_memory(raw: Path, tmp_path: Path, size: tuple[int, int, int]) -> None:
    write_bomb(frame(raw, 1), size)
    code, peak_mib, told = measured("convert", "acdc", raw, tmp_path / "data")
    assert code == 3 and peak_mib < 500
    assert "the limit is" in told or "more than" in told


def relabelled(change: Callable[[np.ndarray], np.ndarray], what: str = "_gt", mm: float = 0) -> Callable[[Path], None]:
    def spoil(raw: Path) -> None:
        affine = AFFINE.copy()
        affine[1, 3] += mm
        path = frame(raw, 1, what)
        save(path, change(np.asanyarray(nib.load(path).dataobj)), affine)

    return spoil


def seven(array: np.ndarray) -> np.ndarray:
    array[0, 0, :2] = 7
    return array


LABELS: dict[str, tuple[Callable[[Path], None], str]] = {
    "26 value": (relabelled(seven), r"values outside \[0, 1, 2, 3\]: 7 \(2 voxels\)"),
    "28 size": (relabelled(lambda a: a[:-1]), r"label has 8x8x3 voxels, channel cine has 9x8x3"),
    "42 fractions": (relabelled(lambda a: a * 0.5), r"label values are no integers, the first is 0\.5"),
    "42 negative": (relabelled(lambda a: a.astype(np.int16) - 1), r"label values from -1 to 2"),
    "42 300": (relabelled(lambda a: a.astype(np.int16) * 100), r"label values from 0 to 300"),
    "43 2 mm": (relabelled(lambda a: a, mm=2), r"label and channel cine lie 2 mm apart"),
    "43 scribble": (relabelled(lambda a: a, "_scribble", 2), r"scribble and channel cine lie 2 mm apart"),
}


@pytest.mark.fault(26, 28, 42, 43)
@pytest.mark.parametrize(("spoil", "told"), LABELS.values(), ids=LABELS)
def test_a_label_that_does_not_fit_is_named_and_its_neighbours_convert(
    bench, raw: Path, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    spoil(raw)
    done = bench("convert", "acdc", raw, tmp_path / "data", "--json")
    refused(done, tmp_path / "data", "patient001-ed", told, others=3)


@pytest.mark.fault(43)
def test_a_label_off_by_a_hundred_thousandth_of_a_millimetre_lies_on_the_grid_of_its_image(
    bench, raw: Path, tmp_path: Path
) -> None:
    relabelled(lambda a: a, mm=1e-5)(raw)
    assert bench("convert", "acdc", raw, tmp_path / "data").code == 0
    root = tmp_path / "data" / "acdc"
    label, image = (
        nib.load(root / n).affine for n in ("labelsTr/patient001-ed.nii.gz", "imagesTr/patient001-ed_0000.nii.gz")
    )
    assert np.array_equal(label, image)


@pytest.mark.fault(44)
@pytest.mark.parametrize(("mm", "told"), [(2, r"channel out-phase and channel in-phase lie 2 mm apart"), (1e-5, "")])
def test_channels_on_different_grids_are_refused_not_resampled(bench, tmp_path: Path, mm: float, told: str) -> None:
    import pydicom

    chaos.write(tmp_path / "raw", 1, 0)
    for path in (tmp_path / "raw").glob("Train_Sets/MR/1/T1DUAL/DICOM_anon/OutPhase/*"):
        dataset = pydicom.dcmread(path)
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [f"{x + mm:.6f}", f"{y:.6f}", f"{z:.6f}"]
        dataset.save_as(path, enforce_file_format=True)
    done = bench("convert", "chaos", tmp_path / "raw", tmp_path / "data", "--json")
    if told:
        refused(done, tmp_path / "data" / "phantom-chaos-mr-t1", "mr-1", told, others=0)
    else:
        assert done.code == 0, done.err
