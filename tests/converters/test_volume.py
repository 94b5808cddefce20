"""What is read of a NIfTI file, image or label, and what is refused by name."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from broken_nifti import AFFINE, FAULTS, GOOD, SHAPE, nifti_bytes, write_bomb

from converters.errors import BenchError
from converters.volume import axis_codes, flat, read_label, read_nifti, to_ras


@pytest.mark.fault(31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41)
@pytest.mark.parametrize(("data", "told"), FAULTS.values(), ids=FAULTS)
def test_a_damaged_or_ambiguous_file_is_refused_by_name(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "image.nii.gz"
    path.write_bytes(data)
    with pytest.raises(BenchError, match=told) as error:
        read_nifti(path)
    assert error.value.where == str(path)
    assert error.value.mend


@pytest.mark.fault(36)
def test_a_gzipped_file_named_nii_is_to_be_renamed(tmp_path: Path) -> None:
    path = tmp_path / "image.nii"
    path.write_bytes(GOOD)
    with pytest.raises(BenchError, match=r"is gzipped") as error:
        read_nifti(path)
    assert error.value.mend == "rename it to image.nii.gz"


@pytest.mark.fault(38, 45)
@pytest.mark.parametrize("size", [(5, 4, 3), (32767, 5000, 32), (32767, 32767, 32767)])
def test_a_gzip_bomb_and_huge_dims_take_little_memory(tmp_path: Path, size: tuple[int, int, int]) -> None:
    write_bomb(tmp_path / "bomb.nii.gz", size)
    code = (
        "import re, sys\nfrom pathlib import Path\nfrom converters.volume import read_nifti\n"
        "try:\n    read_nifti(Path(sys.argv[1]))\nexcept ValueError as error:\n    print(error)\n"
        # Not ru_maxrss: that starts from the size of the process that forked this one.
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.nii.gz")], capture_output=True, text=True, check=True
    )
    *told, peak_mib = ran.stdout.split("\n")[:-1]
    assert "more than 472 bytes" in told[0] or "the limit is" in told[0]
    assert int(peak_mib) < 500


def saved(tmp_path: Path, change: Callable[[bytearray], None], name: str = "a.nii.gz") -> Path:
    data = bytearray(nifti_bytes())
    change(data)
    path = tmp_path / name
    path.write_bytes(gzip.compress(bytes(data)) if name.endswith(".gz") else bytes(data))
    return path


@pytest.mark.parametrize("slope", [0.0, float("nan")])
def test_slope_zero_and_nan_mean_no_scaling(tmp_path: Path, slope: float) -> None:
    path = saved(tmp_path, lambda data: struct.pack_into("<2f", data, 112, slope, 7.0))
    volume = read_nifti(path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array.ravel(), np.arange(60))


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    whole = read_nifti(saved(tmp_path, lambda data: struct.pack_into("<2f", data, 112, 2.0, -1024.0)))
    assert np.array_equal(whole.array.ravel(), np.arange(60) * 2 - 1024)
    assert whole.array.dtype.kind == "i"
    part = read_nifti(saved(tmp_path, lambda data: struct.pack_into("<2f", data, 112, 0.5, 0.25)))
    assert np.array_equal(part.array.ravel(), (np.arange(60) * 0.5 + 0.25).astype(np.float32))
    assert part.array.dtype == np.float32


@pytest.mark.fault(40)
@pytest.mark.parametrize(("offset", "kept"), [(252, "sform"), (254, "qform")])
def test_one_code_of_zero_is_legal_and_the_other_form_is_read(tmp_path: Path, offset: int, kept: str) -> None:
    def change(data: bytearray) -> None:
        struct.pack_into("<h", data, offset, 0)
        struct.pack_into(
            "<12f" if kept == "qform" else "<6f",
            data,
            280 if kept == "qform" else 256,
            *[0.0] * (12 if kept == "qform" else 6),
        )

    assert np.allclose(read_nifti(saved(tmp_path, change)).affine, AFFINE, atol=1e-5)


def test_a_big_endian_file_and_a_plain_nii_hold_the_same_voxels(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(60, dtype=">i2").reshape(SHAPE), AFFINE, nib.Nifti1Header(endianness=">"))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "big.nii.gz")
    big = read_nifti(tmp_path / "big.nii.gz")
    plain = read_nifti(saved(tmp_path, lambda _: None, "plain.nii"))
    assert (tmp_path / "big.nii.gz").read_bytes() != (tmp_path / "plain.nii").read_bytes()
    assert big.array.dtype == np.dtype("=i2")
    assert np.array_equal(big.array, plain.array)


def test_gzip_members_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    data = nifti_bytes()
    (tmp_path / "a.nii.gz").write_bytes(
        gzip.compress(data[:100]) + gzip.compress(data[100:400]) + gzip.compress(data[400:])
    )
    assert np.array_equal(read_nifti(tmp_path / "a.nii.gz").array.ravel(), np.arange(60))


def test_a_trailing_axis_of_one_and_a_2d_image_are_three_dimensional(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 1), np.int16), AFFINE), tmp_path / "four.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((6, 7), np.int16), np.diag([1.0, 1, 1, 1])), tmp_path / "two.nii.gz")
    assert read_nifti(tmp_path / "four.nii.gz").shape == SHAPE
    assert read_nifti(tmp_path / "two.nii.gz").shape == (6, 7, 1)


def label_file(tmp_path: Path, array: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "label.nii.gz")
    return tmp_path / "label.nii.gz"


def test_a_label_stored_as_whole_floats_is_read_as_uint8(tmp_path: Path) -> None:
    array = np.arange(60).reshape(SHAPE).astype(np.float64)
    label = read_label(label_file(tmp_path, array))
    assert label.array.dtype == np.uint8
    assert np.array_equal(label.array, array)


@pytest.mark.fault(42)
@pytest.mark.parametrize(
    ("value", "told"), [(0.5, "1 label values are no integers, the first is 0.5"), (-1, "from -1"), (300, "to 300")]
)
def test_a_label_with_fractions_negatives_or_300_is_refused(tmp_path: Path, value: float, told: str) -> None:
    array = np.zeros(SHAPE, np.float32)
    array[2, 2, 2] = value
    with pytest.raises(BenchError, match=told):
        read_label(label_file(tmp_path, array))


def test_real_files_read_as_nibabel_reads_them(shared_data: Path) -> None:
    paths = sorted(shared_data.glob("spinalcord/*.nii.gz")) + sorted(shared_data.glob("ixi/*/*.nii.gz"))
    orientations = set()
    for path in paths:
        volume, other = read_nifti(path), nib.load(path)
        assert np.array_equal(volume.array, np.asanyarray(other.dataobj))
        assert np.allclose(volume.affine, other.affine, atol=1e-4)
        turned, codes = to_ras(volume)
        assert np.array_equal(turned.array, np.asanyarray(nib.as_closest_canonical(other).dataobj))
        orientations.add(codes)
    assert orientations == {"RAS", "LAS", "PSR"}


def test_a_picture_lies_with_its_columns_to_the_left_and_its_rows_to_the_back() -> None:
    picture = np.arange(6, dtype=np.uint8).reshape(3, 2)  # three columns, two rows
    volume = flat(picture, (0.5, 0.25))
    assert (volume.shape, volume.spacing, axis_codes(volume.affine)) == ((3, 2, 1), (0.5, 0.25, 1.0), "LPS")
    turned, before = to_ras(volume)
    assert before == "LPS"
    assert np.array_equal(turned.array[:, :, 0], picture[::-1, ::-1])
    assert np.allclose(turned.affine @ [2, 1, 0, 1], [0, 0, 0, 1])
