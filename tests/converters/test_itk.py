"""MetaImage and NRRD: voxels, places, and headers that say too little or too much."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from refusing import refused

from converters.itk import files_of, read_itk
from converters.volume import axis_codes

ARRAY = np.random.default_rng(1).integers(-900, 900, (4, 5, 3)).astype(np.int16)
TURN = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def image(array: np.ndarray = ARRAY) -> sitk.Image:
    made = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    made.SetSpacing((0.5, 0.75, 2.0)[: made.GetDimension()])
    made.SetOrigin((10.0, -20.0, 30.0)[: made.GetDimension()])
    return made


def stored(path: Path, packed: bool = False, array: np.ndarray = ARRAY) -> Path:
    made = image(array)
    if array.ndim == 3:
        made.SetDirection(TURN)
    sitk.WriteImage(made, str(path), useCompression=packed)
    return path


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_itk_files_come_with_their_place_in_ras(suffix: str, packed: bool, tmp_path: Path) -> None:
    path = stored(tmp_path / f"a.{suffix}", packed)
    volume = read_itk(path)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.spacing == (0.5, 0.75, 2.0)
    # The direction's columns are those of the axes, in LPS: i runs to the back, j upwards, k to the left.
    assert axis_codes(volume.affine) == "PSL"
    assert np.allclose(volume.affine[:3, 3], [-10, 20, 30])
    assert files_of(path)[0] == path
    assert len(files_of(path)) == (2 if suffix == "mhd" else 1)


def test_two_axes_are_one_slice(tmp_path: Path) -> None:
    volume = read_itk(stored(tmp_path / "a.mha", array=ARRAY[:, :, 0]))
    assert (volume.shape, axis_codes(volume.affine)) == ((4, 5, 1), "LPS")


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_cut_voxels_are_refused_where_simpleitk_gives_zeros(suffix: str, packed: bool, tmp_path: Path) -> None:
    path = files_of(stored(tmp_path / f"a.{suffix}", packed))[-1]
    data = path.read_bytes()
    for short in (1, 9, 40):
        path.write_bytes(data[:-short])
        refused(lambda: read_itk(tmp_path / f"a.{suffix}"))
    path.write_bytes(data + (b"" if packed else b"xx"))
    if not packed:
        assert "more than 120 bytes of voxels" in refused(lambda: read_itk(tmp_path / f"a.{suffix}"))


def changed(before: bytes, after: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = path.read_bytes()
        assert before in data
        path.write_bytes(data.replace(before, after, 1))

    return change


@pytest.mark.parametrize(
    ("suffix", "change", "fault"),
    [
        ("mha", changed(b"ElementSpacing = 0.5 0.75 2\n", b""), "no ElementSpacing"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 4 5 30"), "120 of 1200 bytes of voxels"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 65535 65535 9"), "the limit is"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 4 -5 3"), "plain numbers"),
        ("mha", changed(b"ElementDataFile = LOCAL", b"ElementDataFile = a.raw"), "another file"),
        ("mhd", changed(b"ElementDataFile = a.raw", b"ElementDataFile = ../a.raw"), "leads out of its folder"),
        ("mhd", changed(b"ElementDataFile = a.raw", b"ElementDataFile = LIST"), "is not beside it"),
        ("mha", changed(b"TransformMatrix = 0 1 0 0 0 1 1 0 0", b"TransformMatrix = 1 1 0 0 0 1 1 0 0"), "sheared"),
        ("nrrd", changed(b"space: left-posterior-superior", b"space: scanner-xyz"), "neither LPS nor RAS"),
        ("nrrd", changed(b"space: left-posterior-superior\n", b""), "no space"),
        ("nrrd", changed(b"encoding: raw", b"encoding: hex"), "neither raw nor gzipped"),
        ("nrrd", changed(b"encoding: raw", b"data file: x.raw\nencoding: raw"), "another file"),
        ("nrrd", changed(b"encoding: raw", b'space units: "in" "in" "in"\nencoding: raw'), "not in millimetres"),
        ("nrrd", changed(b"NRRD000", b"NRRX000"), "no NRRD file"),
    ],
)
def test_headers_that_say_too_little_or_too_much_are_refused(
    suffix: str, change: Callable[[Path], None], fault: str, tmp_path: Path
) -> None:
    path = stored(tmp_path / f"a.{suffix}")
    change(path)
    assert fault in refused(lambda: read_itk(path))


def test_ras_in_nrrd_is_where_lps_is(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nrrd")
    lps = read_itk(path).affine
    changed(b"left-posterior-superior", b"right-anterior-superior")(path)
    assert np.allclose(read_itk(path).affine, np.diag([-1, -1, 1, 1]) @ lps)


def test_vectors_and_nan_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 2)), isVector=True), str(tmp_path / "v.mha"))
    assert "2 values per voxel" in refused(lambda: read_itk(tmp_path / "v.mha"))
    path = stored(tmp_path / "n.mha", array=np.where(ARRAY > 0, np.nan, 1.0))
    assert "NaN or infinite" in refused(lambda: read_itk(path))
