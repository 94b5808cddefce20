"""Made-up patients that committed records were scored on: their voxels are never drawn otherwise."""

import json
from pathlib import Path

import pytest
from numpy.lib.introspect import opt_func_info

from converters.convert import convert
from converters.phantoms import acdc, chaos

# Four cases, seed 0.
CONTENT = {
    "phantom-acdc": "d10301a55f9713f96d4c6c09a5d13312a118a223a4e8474d277b65e12b6f4ad2",
    "phantom-chaos-ct": "4a9c521c560af3ad10b5016d056a18319292bc2c1e2feabffa47d289e3d95d8e",
    "phantom-chaos-mr-t1": "a2dc4085563737c9a2db931fa9530ce26aac9bfc8342a4401026a63d3a9dc568",
    "phantom-chaos-mr-t2": "ccc8a4aee6f134e793947b612752f2fc2ec96aca9d805939159536945a6225ad",
}


# The functions that NumPy has for AVX-512: its others round arctan2 and powers of float32 otherwise.
_USED = opt_func_info("^arctan2$", "float32").get("arctan2", {}).get("fff", {}).get("current")


@pytest.mark.skipif(_USED != "X86_V4", reason="without AVX-512 NumPy rounds otherwise, and made-up patients are others")
@pytest.mark.parametrize(("source", "phantom"), [("acdc", acdc), ("chaos", chaos)])
def test_the_made_up_patients_of_the_records_stay_what_they_are(source, phantom, tmp_path: Path) -> None:
    phantom.write(tmp_path / "raw", 4, 0)
    for report in convert(source, tmp_path / "raw", tmp_path / "data"):
        card = json.loads((report.root / "dataset.json").read_text())["bench"]
        assert card["content_sha256"] == CONTENT[report.name]
