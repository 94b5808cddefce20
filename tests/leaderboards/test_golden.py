"""Old records stay readable: one of each kind of every format, loaded, looked at, tabled. Never rewritten."""

import json
from pathlib import Path

import pytest

from bench.schemas import schemas
from converters.files import canonical_json, digest
from leaderboards.collect import load
from leaderboards.record import FORMAT, Record
from leaderboards.rule import is_foreign
from leaderboards.rules import broken
from leaderboards.table import rows

GOLDEN = Path(__file__).parent / "golden"
KINDS = ("done", "failed", "skipped", "foreign")
FORMATS = range(1, FORMAT + 1)
# Format -> digest of the fields it has. An entry is never changed: other fields are another format.
FIELDS = {1: "ab5f24fb0d7b", 2: "6a9aa3b25e44", 3: "28f9c17fd3de", 4: "1c5aae4503e2"}


def fields(schema):
    """A JSON Schema without its prose."""
    if isinstance(schema, dict):
        return {key: fields(value) for key, value in schema.items() if key not in {"description", "title"}}
    return [fields(value) for value in schema] if isinstance(schema, list) else schema


def test_other_fields_are_another_format_with_goldens_of_its_own():
    made = json.loads(schemas()["record.schema.json"])
    assert digest(fields(made))[:12] == FIELDS.get(FORMAT), "raise FORMAT, note its fields here, and add golden records"
    assert sorted(FIELDS) == list(FORMATS)


@pytest.mark.fault(77)
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_record_of_every_format_is_read_as_it_was_written(version, kind):
    path = GOLDEN / f"format-{version}" / f"{kind}.json"
    record = Record.load(path)
    assert record.format == version and record.status == ("done" if kind == "foreign" else kind)
    if version == FORMAT:
        assert canonical_json(record) == path.read_bytes()
    assert is_foreign(record) == (kind == "foreign")
    wanted = set() if record.status == "done" else {"status"}
    assert {finding.rule.id for finding in broken(record) if finding.rule.fatal} == wanted
    if record.status == "done":
        assert broken(record) == []


@pytest.mark.parametrize("version", FORMATS)
def test_done_records_of_every_format_stand_in_tables_and_the_others_say_why_not(version):
    records, problems, _ = load([GOLDEN / f"format-{version}" / f"{kind}.json" for kind in KINDS])
    made, left_out = rows(records)
    assert {row.method: row.invalid for row in made} == {"supervised": 0, "their net": 3} and left_out == []
    assert [sentence.rpartition(": ")[2] for sentence in problems] == ["the loss is nan at step 3", "needs 3D patches"]


@pytest.mark.fault(77)
def test_what_a_newer_suite_wrote_is_left_out_by_name(tmp_path):
    path = tmp_path / "record.json"
    newer = json.loads((GOLDEN / f"format-{FORMAT}" / "done.json").read_text())
    path.write_text(json.dumps(newer | {"format": FORMAT + 1, "shape_of_things": []}))
    records, problems, _ = load([path])
    assert records == [] and f"record format {FORMAT + 1} is newer" in problems[0]
