import gzip
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.errors import BenchError
from converters.volume import (
    Volume,
    as_stored,
    axis_codes,
    data_sha256,
    flat,
    read_label,
    read_nifti,
    slice_axis,
    to_ras,
    write_nifti,
)

SHAPE = (5, 4, 3)
AFFINE = np.array([[-1.5, 0, 0, 20], [0, -1.5, 0, 30], [0, 0, 8.0, -7], [0, 0, 0, 1]])
TYPES = ("uint8", "int16", "uint16", "float32")


def nifti_bytes(array: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> bytes:
    """An uncompressed file as nibabel writes it."""
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if array is None else array
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    buffer = io.BytesIO()
    image.to_file_map({"header": nib.FileHolder(fileobj=buffer), "image": nib.FileHolder(fileobj=buffer)})
    return buffer.getvalue()


def patched(offset: int, layout: str, *values: float) -> bytes:
    """The good file with a part of its header replaced, gzipped."""
    data = bytearray(nifti_bytes())
    struct.pack_into(f"<{layout}", data, offset, *values)
    return gzip.compress(bytes(data))


def floats(index: tuple[int, int, int], value: float) -> bytes:
    array = np.ones(SHAPE, np.float32)
    array[index] = value
    array[4, 3, 2] = value
    return gzip.compress(nifti_bytes(array))


def sheared() -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 2] = 1.0
    return affine


def sform_only(affine: np.ndarray) -> bytes:
    data = bytearray(nifti_bytes())
    struct.pack_into("<2h", data, 252, 0, 1)
    struct.pack_into("<12f", data, 280, *affine[:3].ravel())
    return gzip.compress(bytes(data))


def flipped(data: bytes, index: int) -> bytes:
    broken = bytearray(data)
    broken[index] ^= 0xFF
    return bytes(broken)


GOOD = gzip.compress(nifti_bytes(), mtime=0)
FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "cut in half": (GOOD[: len(GOOD) // 2], "cut off"),
    "crc flipped": (flipped(GOOD, -6), "damaged gzip data"),
    "length flipped": (flipped(GOOD, -1), "damaged gzip data"),
    "byte flipped in the voxels": (flipped(GOOD, -20), "damaged gzip data|cut off|more than"),
    "last 8 bytes missing": (GOOD[:-8], "cut off"),
    "bytes after the end": (GOOD + b"\0\0", "2 bytes after the end of the gzip data"),
    "voxels after the end": (gzip.compress(nifti_bytes() + b"\0"), "more than 472 bytes"),
    "html": (b"\n <!DOCTYPE html><html><body>sign in</body></html>", "is HTML, the download failed"),
    "not gzipped": (nifti_bytes(), "is not gzipped"),
    "voxels short": (gzip.compress(nifti_bytes()[:-100]), "372 of 472 bytes"),
    "header short": (gzip.compress(nifti_bytes()[:200]), "200 bytes; a NIfTI header has 348"),
    "not nifti": (gzip.compress(b"x" * 500), "no NIfTI-1 header"),
    "magic": (patched(344, "4s", b"ni1\0"), "magic"),
    "metres": (patched(123, "B", 1), "millimetres"),
    "datatype": (patched(70, "h", 128), "datatype 128"),
    "bitpix": (patched(72, "h", 8), "bitpix 8"),
    "vox_offset": (patched(108, "f", 100.0), "voxels start at byte 100"),
    "vox_offset nan": (patched(108, "f", float("nan")), "voxels start at byte nan"),
    "dim negative": (patched(42, "h", -5), "not all positive"),
    "dim zero": (patched(44, "h", 0), "not all positive"),
    "dim huge": (patched(42, "3h", 32767, 32767, 32767), "the limit is"),
    "dim more than the file": (patched(42, "3h", 2000, 1000, 1000), "cannot hold"),
    "ndim 99": (patched(40, "h", 99), "99 dimensions"),
    "ndim 1": (patched(40, "h", 1), "1 dimensions"),
    "4-D": (gzip.compress(nifti_bytes(np.zeros((*SHAPE, 2), np.int16))), "4-D, 5x4x3x2"),
    "pixdim nan": (patched(80, "f", float("nan")), "pixdim"),
    "pixdim zero": (patched(84, "f", 0.0), "pixdim"),
    "pixdim negative": (patched(88, "f", -8.0), "pixdim"),
    "pixdim of other spacing": (patched(80, "f", 2.0), "spacing|disagree"),
    "sform singular": (sform_only(np.diag([1.5, 1.5, 0, 1])), "sform is singular"),
    "sform nan": (sform_only(np.full((4, 4), np.nan)), "sform is not finite"),
    "sform sheared": (sform_only(sheared()), "sform is sheared"),
    "sform signalling nan": (patched(280, "I", 0x7F800001), "sform is not finite"),
    "qform nan": (patched(256, "f", float("nan")), "qform is not finite"),
    "sform and qform disagree": (patched(268, "f", 22.0), r"disagree \(origins 2 mm apart\)"),
    "codes both 0": (patched(252, "2h", 0, 0), "both 0"),
    "sform code of no meaning": (patched(254, "h", 129), "codes are 129 and 1"),
    "qform code below 0": (patched(252, "h", -1), "codes are 1 and -1; 0 to 5"),
    "nan voxels": (floats((1, 2, 0), np.nan), r"2 voxels are NaN or infinite, the first at \(1, 2, 0\)"),
    "infinite voxels": (floats((0, 0, 1), -np.inf), r"2 voxels are NaN or infinite, the first at \(0, 0, 1\)"),
    "slope infinite": (patched(112, "2f", float("inf"), 0.0), "slope inf"),
    "intercept nan": (patched(112, "2f", 2.0, float("nan")), "intercept nan"),
    "slope beyond whole numbers": (patched(112, "2f", 1e15, 0.0), "more than 53 bits"),
    "slope beyond 64 bits": (patched(112, "2f", 1e30, 0.0), "more than 53 bits"),
    "slope beyond float32": (patched(112, "2f", 1e38, 0.5), "56 voxels are NaN or infinite"),
    "complex": (gzip.compress(nifti_bytes(np.ones(SHAPE, np.complex64))), "no scalar number"),
}


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


def write_bomb(path: Path, size: tuple[int, int, int]) -> None:
    """10 GB of zeros in about 10 MB: a header, then gzip members of 64 MB each."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = packer.compress(bytes(64 << 20)) + packer.flush()
    head = gzip.compress(nifti_bytes()[:42] + struct.pack("<3h", *size) + nifti_bytes()[48:352])
    path.write_bytes(head + member * 160)


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


def affines() -> st.SearchStrategy[np.ndarray]:
    """Rotations with spacing and origin, mirrored or not, as NIfTI stores them."""
    quarter = st.sampled_from([-3, -2, -1, 0, 1, 2, 3]).map(lambda k: k * np.pi / 2)
    angle = st.one_of(quarter, st.floats(-3, 3, width=32))

    def build(
        angles: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...], mirror: bool
    ) -> np.ndarray:
        turn = np.eye(3)
        for axis, theta in enumerate(angles):
            i, j = [k for k in range(3) if k != axis]
            step = np.eye(3)
            step[[i, i, j, j], [i, j, i, j]] = np.cos(theta), -np.sin(theta), np.sin(theta), np.cos(theta)
            turn = turn @ step
        affine = np.eye(4)
        affine[:3, :3] = turn * spacing * np.array([1, 1, -1 if mirror else 1])
        affine[:3, 3] = origin
        return as_stored(affine)

    sizes = st.floats(0.0625, 20, width=32)
    places = st.floats(-2000, 2000, width=32)
    return st.builds(
        build,
        st.tuples(angle, angle, angle),
        st.tuples(sizes, sizes, sizes),
        st.tuples(places, places, places),
        st.booleans(),
    )


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = (0, 255) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return Volume(rng.integers(low, high, shape, endpoint=True).astype(dtype), draw(affines()))


@given(volumes())
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back_and_nibabel_agrees(
    tmp_path_factory: pytest.TempPathFactory, volume: Volume
) -> None:
    path = tmp_path_factory.mktemp("v") / "v.nii.gz"
    write_nifti(path, volume)
    back, other = read_nifti(path), nib.load(path)
    assert back.array.dtype == volume.array.dtype
    assert np.array_equal(back.array, volume.array)
    assert np.array_equal(back.affine, volume.affine)
    assert data_sha256(back) == data_sha256(volume)
    assert np.array_equal(np.asanyarray(other.dataobj), volume.array)
    assert (int(other.header["sform_code"]), int(other.header["qform_code"])) == (1, 1)
    scale = float(np.abs(volume.affine[:3, :3]).max())
    assert np.allclose(other.get_qform(), other.get_sform(), atol=2e-3 * scale)


def hidden_place(volume: Volume) -> np.ndarray:
    """Where each voxel lies, sorted by its value: a fingerprint that flips and swaps must not change."""
    index = np.indices(volume.shape).reshape(3, -1)
    place = volume.affine[:3, :3] @ index + volume.affine[:3, 3:]
    return place[:, np.argsort(volume.array.ravel(), kind="stable")]


@given(affines(), st.tuples(*[st.integers(1, 4)] * 3))
@settings(max_examples=150, deadline=None)
def test_ras_keeps_every_voxel_in_its_place(affine: np.ndarray, shape: tuple[int, int, int]) -> None:
    volume = Volume(np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(np.int16), affine)
    turned, codes = to_ras(volume)
    assert sorted(codes.translate(str.maketrans("LPI", "RAS"))) == ["A", "R", "S"]
    assert axis_codes(turned.affine) == "RAS"
    assert np.allclose(hidden_place(turned), hidden_place(volume), atol=1e-3)
    again, second = to_ras(turned)
    assert second == "RAS"
    assert data_sha256(again) == data_sha256(turned)
    assert np.linalg.det(turned.affine[:3, :3]) > 0 or np.linalg.det(volume.affine[:3, :3]) < 0 or codes != "RAS"


@given(affines())
@settings(max_examples=100, deadline=None)
def test_axis_codes_are_those_of_nibabel(affine: np.ndarray) -> None:
    cosines = np.sort(np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)), axis=0)
    if (cosines[2] - cosines[1] > 0.2).all():  # near 45 degrees there is more than one answer
        assert axis_codes(affine) == "".join(nib.aff2axcodes(affine))


def test_the_digest_sees_voxels_type_shape_and_place_and_not_memory_order() -> None:
    array = np.arange(60, dtype=np.int16).reshape(SHAPE)
    base = data_sha256(Volume(array, AFFINE))
    moved = AFFINE + np.array([[0, 0, 0, 1e-3]] + [[0] * 4] * 3)
    others = [
        Volume(array + np.int16(1), AFFINE),
        Volume(array.astype(np.uint16), AFFINE),
        Volume(array.reshape(4, 5, 3), AFFINE),
        Volume(array, moved),
    ]
    assert len({base, *map(data_sha256, others)}) == 5
    assert data_sha256(Volume(np.asfortranarray(array), AFFINE)) == base
    assert data_sha256(Volume(array.astype(">i2"), AFFINE + 1e-9)) == base


def test_the_digest_of_version_1_is_frozen() -> None:
    array = np.arange(60, dtype=np.int16).reshape(SHAPE)
    assert data_sha256(Volume(array, AFFINE)) == "afa0587e4da00e96549a707da660920f16c2e715778615eeef7eda854c288aa7"


def test_spacing_is_the_shortest_decimal_of_float32() -> None:
    affine = np.diag([np.float64(np.float32(1.31579)), 0.7265625, 10.0, 1.0])
    assert Volume(np.zeros(SHAPE, np.uint8), affine).spacing == (1.31579, 0.7265625, 10.0)


@pytest.mark.fault(43)
def test_two_grids_are_the_same_up_to_rounding() -> None:
    array = np.zeros(SHAPE, np.uint8)
    base = Volume(array, AFFINE)
    for shift, same in ((1e-5, True), (2.0, False)):
        moved = AFFINE.copy()
        moved[0, 3] += shift
        assert base.same_grid(Volume(array, moved)) is same
    assert not base.same_grid(Volume(array[:-1], AFFINE))


@pytest.mark.parametrize(
    ("spacing", "shape", "axis"),
    [
        ((1, 1, 8), SHAPE, 2),
        ((5, 1, 1), SHAPE, 0),
        ((1, 1, 1), SHAPE, 2),
        ((3, 3, 1), SHAPE, 1),
        ((2, 2, 1), (4, 4, 1), 2),
    ],
)
def test_slices_lie_along_the_largest_spacing(spacing: tuple[int, ...], shape: tuple[int, int, int], axis: int) -> None:
    assert slice_axis(Volume(np.zeros(shape, np.uint8), np.diag([*spacing, 1.0]))) == axis


def test_other_types_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="float64"):
        write_nifti(tmp_path / "a.nii.gz", Volume(np.zeros(SHAPE), AFFINE))
    assert list(tmp_path.iterdir()) == []


def test_writing_the_same_volume_twice_leaves_the_file_alone(tmp_path: Path) -> None:
    volume = Volume(np.arange(60, dtype=np.int16).reshape(SHAPE), AFFINE)
    write_nifti(tmp_path / "a.nii.gz", volume)
    before = (tmp_path / "a.nii.gz").stat()
    write_nifti(tmp_path / "a.nii.gz", volume)
    assert (tmp_path / "a.nii.gz").stat().st_ino == before.st_ino
    assert (tmp_path / "a.nii.gz").stat().st_mtime_ns == before.st_mtime_ns


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
