"""Volumes written and read back, their places, axes, digests and spacings."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from broken_nifti import AFFINE, SHAPE
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.volume import Volume, as_stored, axis_codes, data_sha256, read_nifti, slice_axis, to_ras, write_nifti

TYPES = ("uint8", "int16", "uint16", "float32")


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
