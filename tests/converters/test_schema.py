import json
from pathlib import Path

import jsonschema
import pytest
from acdc_tree import acdc_tree

from bench.schemas import publish, schemas
from converters.convert import convert
from converters.dataset import Case
from converters.description import DatasetFile
from converters.schema import faults
from leaderboards.verification import ENDING

DOCS = Path(__file__).parents[2] / "docs" / "schemas"
RESULTS = Path(__file__).parents[2] / "leaderboards" / "results"


def test_the_published_schemas_are_those_of_the_types() -> None:
    assert {path.name: path.read_bytes() for path in DOCS.glob("*.json")} == schemas()


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.json")), ids=lambda path: path.name)
def test_committed_records_and_their_verifications_fit_the_schema(file: Path) -> None:
    kind = "verification" if file.name.endswith(ENDING) else "record"
    check = jsonschema.Draft202012Validator(json.loads(schemas()[f"{kind}.schema.json"]))
    assert list(check.iter_errors(json.loads(file.read_text()))) == []


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    publish(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == schemas()


def test_a_converted_folder_fits_the_schemas_and_a_stranger_does_not(tmp_path: Path) -> None:
    (report,) = convert("acdc", acdc_tree(tmp_path / "raw"), tmp_path / "data")
    checks = {name: jsonschema.Draft202012Validator(json.loads(data)) for name, data in schemas().items()}
    top = json.loads((report.root / "dataset.json").read_text())
    case = json.loads((report.root / "cases" / "patient001-ed.json").read_text())
    assert list(checks["dataset.schema.json"].iter_errors(top)) == []
    assert list(checks["case.schema.json"].iter_errors(case)) == []
    assert list(checks["case.schema.json"].iter_errors(case | {"patient_name": "x"}))
    del top["bench"]["content_sha256"]
    assert list(checks["dataset.schema.json"].iter_errors(top))


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'\xef\xbb\xbf{"id": "a"}', "line 1: it starts with a byte order mark"),
        (b'{"id": "a",\n"subject": NaN}', "line 2: JSON is malformed"),
        (b'{"id": "a",\n\n', "line 1: Input data was truncated"),
        (b'{"id": "\xff"}', "line 1: "),
        (b"[]", "line 1: file: Expected `object`, got `array`"),
    ],
)
def test_what_is_no_json_is_told_with_its_line(tmp_path: Path, text: bytes, told: str) -> None:
    (tmp_path / "a.json").write_bytes(text)
    (fault,) = faults(tmp_path / "a.json", Case)
    assert fault.startswith(told)


@pytest.mark.fault(46)
def test_all_faults_of_a_file_are_told_at_once_with_line_and_key(tmp_path: Path) -> None:
    value = {
        "name": "x",
        "licence": 3,
        "channel_names": {"0": "cine"},
        "labels": {"background": 0},
        "numTraning": 4,
        "bench": {"format": 1, "ndim": 4, "version": "1"},
    }
    (tmp_path / "dataset.json").write_text(json.dumps(value, indent=1))
    found = faults(tmp_path / "dataset.json", DatasetFile)
    assert "line 1: file: the key 'numTraining' is missing" in found
    assert "line 10: numTraning: there is no such key in the format" in found
    assert "line 3: licence: Expected `str`, got `int`" in found
    assert any(fault.startswith("line 13: bench.ndim: ") for fault in found)
    missing = [fault for fault in found if fault.startswith("line 11: bench: the key ")]
    assert len(missing) == 5
