"""`bench rescore` on a run of the tiny dataset: what is kept, and what is not scored again."""

import shutil

import msgspec
import pytest
from contents import tree
from verified import change, shifted

from leaderboards.record import Record


@pytest.fixture
def data(data_of_run):
    return data_of_run


def test_a_run_scored_again_keeps_all_but_its_scores(bench, ran, data, tmp_path):
    before = Record.load(ran / "record.json")
    old = [msgspec.structs.replace(s, metrics={"dice:v1": s.metrics["dice:v1"]}) for s in before.cases]
    written = change(ran, cases=tuple(old), definitions={**before.definitions, "metrics": "0" * 12})
    kept = tree(ran)
    assert bench("rescore", ran, "--data", data, "--out", tmp_path / "out").code == 0
    assert tree(ran) == kept
    (path,) = (tmp_path / "out" / "tiny").glob("*[0-9a-f].json")
    assert path.name == f"semi20-supervised-{ran.name}.json"
    log = (ran / "model" / "log.jsonl").read_bytes()
    assert path.with_name(f"semi20-supervised-{ran.name}.log.jsonl").read_bytes() == log
    after = Record.load(path)
    assert after.cases == before.cases and after.definitions == before.definitions
    assert after.code.keys() - before.code.keys() == {"scorer"}
    same = {"cases", "definitions", "code"}
    fields = set(Record.__struct_fields__) - same
    assert {f: getattr(after, f) for f in fields} == {f: getattr(written, f) for f in fields}
    assert bench("verify", path, "--predictions", ran / "predictions", "--data", data).code == 0


def test_what_is_not_what_was_scored_is_not_scored_again(bench, ran, data, tmp_path):
    other = shutil.copytree(ran, tmp_path / "runs" / "b")
    shifted(next((ran / "predictions").iterdir()))
    done = bench("rescore", ran, other, "--data", data, "--out", tmp_path / "out")
    assert done.code == 1 and "in the record" in done.err
    assert len(list((tmp_path / "out").rglob("*[0-9a-f].json"))) == 1, "the other one is"
    change(other, status="failed", reason="out of memory")
    done = bench("rescore", other, "--data", data, "--out", tmp_path / "none")
    assert done.code == 1 and "the run is failed: out of memory" in done.err
    assert not (tmp_path / "none").exists()
