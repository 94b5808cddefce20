"""A DICOM series to .nii.gz beside its peers: `pytest tests/speed --benchmark-only` with the extra [peers].

Ours is a whole case of `bench convert`: strict reading, source digests, grid checks, RAS+, voxel digest, sidecar, all
flushed to disk. Every peer must give the same voxels at the same place.
"""

import os
import subprocess
from functools import partial

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from isal import igzip
from limits import CONVERT

from converters.conform import conform
from converters.dicom import read_series
from converters.job import Job
from converters.source import Loaded, RawCase
from converters.sources import chaos
from converters.volume import to_ras

INFO = next(info for info in chaos.INFO if info.name == "chaos-ct")
SLICES = 78  # of the real case; every third is here

# Each gives a function of a folder to write into, the way its makers mean it to be used.


def load(files):
    series = read_series(files)
    return Loaded({"ct": series.volume}, acquisition={"ct": series.acquisition}, stack_axis=2)


def ours(folder):
    files = tuple(sorted(folder.glob("*.dcm")))
    case = RawCase("ct-3", "ct-3", files, partial(load, files))
    return lambda target: conform(Job(folder, target, INFO, case))


def simpleitk(folder):
    def convert(target):
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        SimpleITK.WriteImage(reader.Execute(), str(target / "ct.nii.gz"), useCompression=True)

    return convert


def dcm2niix(level):
    def prepare(folder):
        peer = pytest.importorskip("dcm2niix", reason="needs the extra [peers]")

        def convert(target):
            flags = ["-z", "y", f"-{level}", "-b", "n", "-v", "n", "-o", str(target), "-f", "ct"]
            subprocess.run([peer.bin, *flags, str(folder)], check=True, capture_output=True)

        return convert

    return prepare


def floor(folder):
    """The least that anyone must do: read the files and pack their bytes."""
    files = sorted(folder.glob("*.dcm"))

    def convert(target):
        packed = igzip.compress(b"".join(file.read_bytes() for file in files), compresslevel=1)
        (target / "ct.nii.gz").write_bytes(packed)

    return convert


PEERS = {
    "ours": (ours, "a whole case of `bench convert`: all checks, digests, sidecar, flushed to disk"),
    "SimpleITK": (simpleitk, "ImageSeriesReader and WriteImage, compressed"),
    "dcm2niix": (dcm2niix(6), "its command at its default level, 6"),
    "dcm2niix, level 1": (dcm2niix(1), "its command at level 1"),
    "floor": (floor, "no conversion: the files read, their bytes packed by isal at level 1"),
}


@pytest.fixture(scope="module")
def series(shared_data, tmp_path_factory):
    """78 slices: each of the 26 real ones three times, 2 mm apart as in the whole case."""
    folder = tmp_path_factory.mktemp("series")
    read = [pydicom.dcmread(path) for path in (shared_data / "chaos/Train_Sets/CT/3/DICOM_anon").glob("*.dcm")]
    read.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    x, y, lowest = map(float, read[0].ImagePositionPatient)
    for k in range(SLICES):
        one = read[k * len(read) // SLICES]
        one.ImagePositionPatient = [x, y, lowest + 2 * k]
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[str(k)])
        one.save_as(folder / f"i{k:04d}.dcm")
    return folder


@pytest.mark.parametrize("peer", PEERS)
def test_speed_of_converting_a_ct_series(benchmark, enter, series, tmp_path, peer):
    make, does = PEERS[peer]
    enter(CONVERT, peer, does, SLICES, "slices")
    convert = make(series)
    rounds = iter(range(1000))

    def fresh():
        # A new folder each time: an unchanged file would not be written. Only ours waits until its files are on the
        # disk, and it must not wait for what others have left in the memory.
        folder = tmp_path / str(next(rounds))
        folder.mkdir()
        os.sync()
        return (folder,), {}

    benchmark.pedantic(convert, setup=fresh, rounds=7, warmup_rounds=1)
    made = next((tmp_path / "0").rglob("*.nii.gz"))
    benchmark.extra_info["note"] = f"{made.stat().st_size / 1e6:.1f} MB"
    if peer != "floor":
        image = nibabel.as_closest_canonical(nibabel.load(made))
        volume = to_ras(read_series(sorted(series.glob("*.dcm"))).volume)[0]
        assert np.array_equal(np.asarray(image.dataobj), volume.array)
        assert np.allclose(image.affine, volume.affine, atol=1e-3)
