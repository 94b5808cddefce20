"""A DICOM series to .nii.gz beside its peers: `pytest tests/speed --benchmark-only` with the extra [peers].

The real CHAOS CT case, read, turned and written; every peer must give the same voxels at the same place.
"""

import subprocess
import time

import nibabel
import numpy as np
import pytest
import SimpleITK
from isal import igzip

from converters.dicom import read_series
from converters.volume import to_ras, write_nifti

# Each gives a function of the target file, the way its makers mean it to be used.


def ours(folder):
    files = sorted(folder.glob("*.dcm"))
    return lambda target: write_nifti(target, to_ras(read_series(files).volume)[0])


def simpleitk(folder):
    def convert(target):
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        SimpleITK.WriteImage(reader.Execute(), str(target), useCompression=True)

    return convert


def dcm2niix(level):
    def prepare(folder):
        peer = pytest.importorskip("dcm2niix", reason="needs the extra [peers]")

        def convert(target):
            flags = ["-z", "y", f"-{level}", "-b", "n", "-v", "n", "-o", str(target.parent), "-f", target.name[:-7]]
            subprocess.run([peer.bin, *flags, str(folder)], check=True, capture_output=True)

        return convert

    return prepare


def floor(folder):
    """The least that anyone must do: read the files and pack their bytes."""
    files = sorted(folder.glob("*.dcm"))

    def convert(target):
        target.write_bytes(igzip.compress(b"".join(file.read_bytes() for file in files), compresslevel=1))

    return convert


PEERS = {"ours": ours, "simpleitk": simpleitk, "dcm2niix": dcm2niix(6), "dcm2niix, level 1": dcm2niix(1)}


@pytest.fixture(scope="module")
def series(shared_data):
    return shared_data / "chaos/Train_Sets/CT/3/DICOM_anon"


@pytest.mark.benchmark(group="26 CT slices 512x512 to .nii.gz")
@pytest.mark.parametrize("peer", [*PEERS, "floor"])
def test_speed_of_converting_a_ct_series(benchmark, series, tmp_path, peer):
    convert = {**PEERS, "floor": floor}[peer](series)
    rounds = iter(range(1000))

    def fresh():
        # A new file each time: an unchanged one would not be written.
        folder = tmp_path / str(next(rounds))
        folder.mkdir()
        return (folder / "ct.nii.gz",), {}

    benchmark.pedantic(convert, setup=fresh, rounds=7, warmup_rounds=1)
    made = next((tmp_path / "0").iterdir())
    benchmark.extra_info["megabytes"] = round(made.stat().st_size / 1e6, 1)
    if peer in PEERS:
        image = nibabel.as_closest_canonical(nibabel.load(made))
        voxels, affine = wanted(series)
        assert np.array_equal(np.asarray(image.dataobj), voxels)
        assert np.allclose(image.affine, affine, atol=1e-3)


def wanted(series):
    volume = to_ras(read_series(sorted(series.glob("*.dcm"))).volume)[0]
    return volume.array, volume.affine


def test_converting_takes_at_most_half_the_time_of_simpleitk(series, tmp_path):
    def seconds(convert, name):
        best = float("inf")
        for k in range(2):
            start = time.perf_counter()
            convert(tmp_path / f"{name}{k}.nii.gz")
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(ours(series), "ours") < 0.5 * seconds(simpleitk(series), "simpleitk")
