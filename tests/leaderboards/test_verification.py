"""How far a record was verified: read from beside it, and believed only where it names that very record."""

import json

import pytest

from leaderboards.collect import load
from leaderboards.table import rows
from leaderboards.verification import beside


@pytest.fixture
def kept(tmp_path, make):
    """A committed record with a verification of level 1 beside it."""
    file = tmp_path / "leaderboards" / "results" / "acdc" / "semi10-supervised-abc.json"
    record = make()
    record.save(file)
    write(file, record=record.id())
    return file


def write(file, **fields):
    plain = {"record": "", "level": 1, "scorer": "s", "findings": [], "format": 1} | fields
    beside(file).write_text(json.dumps(plain))


def test_the_sidecar_has_the_name_of_the_record(tmp_path):
    assert beside(tmp_path / "record.json").name == "verified.json"
    assert beside(tmp_path / "full-gce-0a.json").name == "full-gce-0a.verified.json"


def test_a_sidecar_is_no_record_and_its_level_reaches_the_row(kept, make):
    found = load([kept.parents[2]])
    assert found.problems == [] and found.verified == {make().id(): 1}
    assert [row.verified for row in rows(found.records, found.verified)[0]] == [1]
    beside(kept).unlink()
    assert load([kept]).verified == {make().id(): 0}


def test_a_copy_without_a_sidecar_takes_no_verification_away(kept):
    copy = kept.with_name(f"a-{kept.name}")
    copy.write_bytes(kept.read_bytes())
    found = load([copy, kept])
    assert len(found.records) == 1 and list(found.verified.values()) == [1]
    assert "counted once" in found.problems[0]


def test_a_run_folder_has_its_sidecar_too(tmp_path, make):
    make().save(tmp_path / "record.json")
    write(tmp_path / "record.json", record=make().id(), level=2)
    assert load([tmp_path]) == ([make()], [], {make().id(): 2})


@pytest.mark.fault(77)
def test_a_record_edited_after_it_was_verified_is_no_longer_verified(kept, make):
    make(parameters=2000).save(kept)
    records, problems, verified = load([kept])
    assert len(records) == 1 and set(verified.values()) == {0}
    assert len(problems) == 1 and "it verifies record" in problems[0] and "abc.verified.json" in problems[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"format": 2}, "verification format 2 is newer"),
        ({"level": 3}, "there is no level 3"),
        ({"level": -1}, "there is no level -1"),
        ({"by": "me"}, "by"),
        ({"level": "two"}, "level"),
    ],
)
def test_a_sidecar_that_nobody_can_believe_is_named_and_counts_for_nothing(kept, make, fields, said):
    write(kept, **({"record": make().id()} | fields))
    records, problems, verified = load([kept])
    assert len(records) == 1 and verified == {make().id(): 0}
    assert len(problems) == 1 and said in problems[0] and problems[0].endswith("not counted as verified")
