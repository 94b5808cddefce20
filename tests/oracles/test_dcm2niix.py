"""The DICOM reader against dcm2niix: the same voxels at the same place. `make oracles` installs it."""

import subprocess

import numpy as np
import pytest

from converters.dicom import read_series
from converters.phantoms.chaos import write
from converters.volume import read_nifti, to_ras

dcm2niix = pytest.importorskip("dcm2niix", reason="needs the extra [oracles]")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Every folder of DICOM slices of two made-up patients: MR in and out of phase, T2, CT."""
    folder = tmp_path_factory.mktemp("raw")
    write(folder, 2, 0)
    found = sorted({path.parent for path in folder.rglob("*.dcm")})
    assert len(found) >= 7
    return found


def test_every_series_has_the_voxels_and_the_place_that_dcm2niix_gives_it(series, tmp_path):
    for number, folder in enumerate(series):
        ours, _ = to_ras(read_series(sorted(folder.glob("*.dcm"))).volume)
        words = [dcm2niix.bin, "-z", "y", "-b", "n", "-o", str(tmp_path), "-f", f"s{number}", str(folder)]
        subprocess.run(words, check=True, capture_output=True)
        theirs, _ = to_ras(read_nifti(tmp_path / f"s{number}.nii.gz"))
        assert ours.same_grid(theirs), folder
        np.testing.assert_array_equal(ours.array, theirs.array, err_msg=str(folder))
