"""The rules: each one is broken by something, kept by every committed record, and listed in docs/submit.md."""

import re
from pathlib import Path

import msgspec
import pytest

from converters.files import digest
from leaderboards.collect import files
from leaderboards.record import Record
from leaderboards.rule import FOREIGN, is_foreign
from leaderboards.rules import RULES, broken, faults

ROOT = Path(__file__).parents[2]
VOLUME = {"volume_reference_ml:v1": 1.0, "volume_prediction_ml:v1": 1.0, "volume_false_ml:v1": 0.2}
COUNTED = {"iou:v1": 2 / 3, "ravd:v1": 0.0, "hd:c6-bg-max:v1": 3.0}
ZEROS = "0" * 64


def replace(value, **fields):
    return msgspec.structs.replace(value, **fields)


def digests(cases, **more):
    each = {f"prediction:{case}": digest(case) for case in cases}
    return {"dataset": "ab" * 32, "split": "cd" * 32, "code": "ef" * 32} | each | {"predictions": digest(each)} | more


@pytest.fixture
def whole(make, score):
    """A record of two cases with two labels that keeps every rule."""
    cases = tuple(score(case, label) for case in ("p1", "p2") for label in ("liver", "spleen"))
    cases = tuple(replace(one, metrics={**one.metrics, **VOLUME, **COUNTED}) for one in cases)
    recipe = {"seed": 0, "draw": "0", "dataset": "acdc", "train": {"method": "supervised"}}
    record = make(cases, recipe=recipe, digests=digests(["p1", "p2"]), code={"commit": "a" * 40, "dirty": "false"})
    return replace(
        record,
        budget=replace(record.budget, annotated_slices=20, annotated_voxels=900),
        predict=replace(record.predict, items=2),
    )


def first(record, **fields):
    """The record with its first score changed."""
    return replace(record, cases=(replace(record.cases[0], **fields), *record.cases[1:]))


def value(record, **values):
    metrics = {name.replace("__", ":"): number for name, number in values.items()}
    return first(record, metrics={**record.cases[0].metrics, **metrics})


def without(record, definition):
    return {key: number for key, number in record.cases[0].metrics.items() if key != definition}


def in_two_versions(record):
    return replace(record, cases=tuple(replace(s, metrics={**s.metrics, "dice:v0": 1.0}) for s in record.cases))


def of(record, part, **fields):
    return replace(record, **{part: replace(getattr(record, part), **fields)})


def aged(record, error):
    """The record as one of a number: every error 3 in size, and `error` of the first with its sign."""
    values = {"absolute_error_years:v1": 3.0, "truth_years:v1": 40.0, "constant_absolute_error_years:v1": 9.0}
    cases = tuple(
        replace(one, label="age", tp=0, fp=0, fn=0, metrics={**values, "error_years:v1": error if number == 0 else 3.0})
        for number, one in enumerate(record.cases[::2])
    )
    nothing = replace(record.budget, annotated_voxels=0, annotated_slices=0)
    return replace(record, cases=cases, task="age", budget=nothing)


BREACHES = [
    ("status", lambda r: replace(r, status="skipped", reason="3D only"), "skipped: 3D only"),
    ("format", lambda r: replace(r, definitions={**r.definitions, "record": "7"}), "its definitions say 7"),
    ("recipe", lambda r: replace(r, seed=5), "seed 5, but the recipe says 0"),
    ("recipe", lambda r: replace(r, dataset="chaos"), "dataset chaos, but the recipe says acdc"),
    ("recipe", lambda r: replace(r, recipe=dict(FOREIGN)), "that only a run of ours has"),
    ("recipe", lambda r: replace(r, method="gce"), "method gce, but the recipe says supervised"),
    ("once", lambda r: replace(r, cases=(*r.cases, r.cases[0])), "1 case and label pairs stand in it twice"),
    ("labels", lambda r: replace(r, cases=r.cases[:-1]), "case p2 has no score of spleen"),
    ("case", lambda r: first(r, subject="p9"), "case p1: subject is p1 and p9"),
    ("case", lambda r: first(r, diagonal_mm=401.0), "diagonal_mm"),
    ("counts", lambda r: first(r, fn=-2), "a count that no image has"),
    ("counts", lambda r: first(r, tp=10**400), "a count that no image has"),
    ("counts", lambda r: first(r, status="missed"), "status 'missed' does not fit tp 8, fp 2, fn 2"),
    ("task", lambda r: aged(r, 2.0), "an error of 2.0 that is 3.0 in size"),
    ("overlap", lambda r: value(r, dice__v1=0.95), "Dice 0.950000 is not 0.800000"),
    ("overlap", lambda r: value(r, dice__v1=None), "Dice none is not 0.800000"),
    ("overlap", lambda r: value(r, iou__v1=0.8), "IoU 0.800000 is not 0.666667"),
    ("overlap", lambda r: value(r, ravd__v1=1.0), "RAVD 1.000000 is not 0.000000"),
    ("overlap", lambda r: value(r, precision__v1=0.9), "precision 0.900000 is not 0.800000"),
    ("volumes", lambda r: value(r, volume_false_ml__v1=0.3), "case p1: its volumes do not fit one voxel size"),
    ("volumes", lambda r: value(r, volume_error_ml__v1=0.1), "case p1: its volumes do not fit one voxel size"),
    ("volumes", lambda r: value(r, volume_abs_error_ml__v1=0.1), "case p1: its volumes do not fit one voxel size"),
    ("range", lambda r: value(r, **{"chaos.nsd@xmm:v1": 0.5}), "'chaos.nsd@xmm:v1' is no id of a definition"),
    ("range", lambda r: value(r, **{"=cmd|x": None}), "is no id of a definition"),
    ("range", lambda r: value(r, **{"nsd@2mm:c6-bg-pooled:v1": 1.01}), "is 1.01"),
    ("range", lambda r: value(r, **{"hd95:c6-bg-max:v1": -1.0}), "is -1.0"),
    ("range", lambda r: value(r, **{"hd95:c6-bg-max:v1": 400.1}), "is 400.1"),
    ("range", lambda r: value(r, **{"chaos.score:v1": float("nan")}), "is nan"),
    ("range", lambda r: value(r, **{"hd:c6-bg-max:v1": float("inf")}), "is inf"),
    ("headline", lambda r: first(r, metrics=without(r, "dice:v1")), "case p1, liver: dice:v1 is not there"),
    ("headline", lambda r: value(r, **{"nsd@2mm:c6-bg-pooled:v1": None}), "no value of nsd@2mm:c6-bg-pooled:v1"),
    ("headline", in_two_versions, "one metric in several versions: dice:v0 and dice:v1"),
    ("predictions", lambda r: replace(r, digests={**r.digests, "prediction:p1": ZEROS}), "digest of the predictions"),
    ("predictions", lambda r: replace(r, digests={**r.digests, "predictions": ZEROS}), "2 digests of cases"),
    ("evidence", lambda r: replace(r, digests={k: v for k, v in r.digests.items() if k != "split"}), "sha256 of split"),
    ("evidence", lambda r: replace(r, digests={**r.digests, "view": "here"}), "no sha256 of view"),
    ("every-prediction", lambda r: replace(r, digests=digests(["p1"])), "no digest of the prediction for p2"),
    ("every-prediction", lambda r: replace(r, digests=digests(["p1", "p2", "p3"])), "but no score, for p3"),
    ("seed", lambda r: replace(r, recipe={"train": {}}), "none in the recipe"),
    ("commit", lambda r: replace(r, code={}), "no commit"),
    ("commit", lambda r: replace(r, code={"commit": "a" * 40, "dirty": "true"}), "changed since commit aaaaaaaaaaaa"),
    ("commit", lambda r: replace(r, code={"commit": "main", "dirty": "false"}), "commit 'main'"),
    ("budget", lambda r: replace(r, budget=None), "no budget"),
    ("budget", lambda r: of(r, "budget", labelled_cases=3), "fewer cases than subjects"),
    ("budget", lambda r: of(r, "budget", labelled_subjects=0), "no annotated voxel, slice or subject"),
    ("budget", lambda r: of(r, "budget", agreement=0.7), "protocol semi10, labels that agree to 0.7"),
    ("cost", lambda r: replace(r, train=None), "no cost"),
    ("cost", lambda r: of(r, "predict", items=3), "3 cases predicted, 2 scored"),
    ("cost", lambda r: replace(r, parameters=0), "no parameter"),
]  # fmt: skip


def test_a_sound_record_keeps_every_rule(whole):
    assert broken(whole) == []


@pytest.mark.parametrize(("rule", "change", "said"), BREACHES, ids=[f"{r}-{said[:20]}" for r, _, said in BREACHES])
def test_each_breach_is_told_by_its_rule_alone(whole, rule, change, said):
    found = broken(change(whole))
    assert {finding.rule.id for finding in found} == {rule}
    assert said in found[0].sentence


def test_every_rule_can_be_broken_and_has_an_id_of_its_own():
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert {rule for rule, *_ in BREACHES} == set(ids)


def test_what_only_lowers_the_level_is_no_fault(whole):
    unknown = replace(whole, code={}, budget=None, digests={"dataset": "ab" * 32})
    assert faults(unknown) == []
    assert {finding.rule.id for finding in broken(unknown)} == {"evidence", "every-prediction", "commit", "budget"}


def test_foreign_predictions_owe_no_commit_no_budget_and_no_cost(whole):
    nothing = {"draw": "", "annotator": "", "budget": None, "train": None, "predict": None, "parameters": 0}
    theirs = replace(whole, recipe=dict(FOREIGN), code={}, **nothing)
    assert is_foreign(theirs) and not is_foreign(whole)
    assert broken(theirs) == []


def test_an_invalid_case_needs_no_digest(whole, score):
    absent = dict.fromkeys(COUNTED)
    lost = tuple(score("p3", label, status="invalid") for label in ("liver", "spleen"))
    lost = tuple(replace(one, metrics={**one.metrics, **absent}) for one in lost)
    record = of(replace(whole, cases=whole.cases + lost), "predict", items=3)
    assert broken(record) == []
    half = replace(record, cases=(*record.cases[:-1], replace(record.cases[-1], status="missed")))
    assert "case p3 is invalid for some labels only" in [finding.sentence for finding in broken(half)]


@pytest.mark.parametrize("file", files([ROOT / "leaderboards" / "results"]), ids=lambda path: path.stem)
def test_every_committed_record_keeps_every_rule(file):
    assert broken(Record.load(file)) == []


def test_the_docs_list_the_rules_as_they_are():
    page = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| 0 \| `([a-z-]+)` \| (.*?) \| (fatal|) ?\|$", page, re.MULTILINE)
    assert listed == [(rule.id, rule.sentence, "fatal" if rule.fatal else "") for rule in RULES]
