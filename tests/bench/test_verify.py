"""`bench verify` on a run of the tiny dataset: each level, and what each rule finds."""

import json
import re
import shutil
from pathlib import Path

import msgspec
import pytest
from contents import tree
from safetensors.numpy import load_file, save_file
from verified import change, outcome, shifted

from bench import metrics
from bench.submission import MANIFEST
from bench.verify import CHECKS
from converters.files import digest, sha256
from leaderboards.collect import load
from leaderboards.record import Record
from leaderboards.verification import Verification

PAGE = Path(__file__).parents[2] / "docs" / "submit.md"


@pytest.fixture
def data(data_of_run):
    return data_of_run


@pytest.fixture
def verify(bench, data):
    """Verifies as typed: exit code, the rules that do not hold with what was found, stderr."""

    def check(path, level=1, *more):
        told = bench("verify", path, "--data", data, "--level", level, "--device", "cpu", "--json", *more)
        lines = [json.loads(line) for line in told.out.splitlines()]
        broken = {line["rule"]: line["found"] for line in lines if line["checked"] and not line["holds"]}
        return told.code, broken, {line["rule"] for line in lines if not line["checked"]}, told.err

    return check


def test_a_record_says_what_its_numbers_stand_on(ran):
    record = Record.load(ran / "record.json")
    assert record.digests["model"] == sha256((ran / "model" / "model.safetensors").read_bytes())
    assert (record.machine["threads"], record.machine["deterministic"]) == ("1", "true")
    assert re.fullmatch(r"[0-9a-f]{64}", record.code["packages"])
    assert len(record.machine["load"].split()) == 3


def test_a_run_is_verified_up_to_its_weights_and_the_tables_know(verify, ran):
    assert verify(ran, 2)[:3] == (0, {}, set())
    record = Record.load(ran / "record.json")
    assert outcome(ran) == Verification(record=record.id(), level=2, scorer=metrics.version(), findings=())
    assert load([ran]).verified == {record.id(): 2}


def test_level_1_is_written_and_takes_no_level_2_away(verify, ran):
    verify(ran)
    assert outcome(ran).level == 1
    verify(ran, 2)
    before = (ran / "verified.json").read_bytes()
    assert verify(ran)[0] == 0
    assert (ran / "verified.json").read_bytes() == before


def test_level_0_and_a_dry_run_write_nothing(verify, ran):
    before = tree(ran)
    assert verify(ran, 0)[:2] == (0, {})
    assert verify(ran, 1, "--dry-run")[:2] == (0, {})
    assert tree(ran) == before


def test_a_prediction_that_was_exchanged_is_found(verify, ran):
    shifted(next((ran / "predictions").iterdir()))
    code, broken, skipped, _ = verify(ran)
    assert code == 1 and list(broken) == ["voxels"] and skipped == {"scores"}
    assert outcome(ran).level == 0 and "in the record" in outcome(ran).findings[0]


def test_a_prediction_that_is_gone_is_found(verify, ran):
    next((ran / "predictions").iterdir()).unlink()
    assert list(verify(ran)[1]) == ["voxels"]
    shutil.rmtree(ran / "predictions")
    assert verify(ran)[1] == {"voxels": ["there is no such folder"]}


def test_scores_that_fit_their_counts_but_not_the_predictions_are_found(verify, ran):
    """A cheat that breaks no rule of level 0: distances, and counts with everything that follows from them."""
    record = Record.load(ran / "record.json")
    cases = list(record.cases)
    number = next(i for i, score in enumerate(cases) if score.metrics["hd95:c6-bg-max:v1"])
    cases[number] = msgspec.structs.replace(
        cases[number], metrics={**cases[number].metrics, "hd95:c6-bg-max:v1": 1.5, "nsd@1mm:c6-bg-pooled:v1": 1.0}
    )
    change(ran, cases=tuple(cases))
    code, broken, _, _ = verify(ran)
    assert code == 1 and list(broken) == ["scores"]
    assert "hd95:c6-bg-max:v1" in broken["scores"][0] and "for 1.5" in broken["scores"][0]
    assert len(broken["scores"]) == 1


def test_other_scores_in_the_last_bits_are_the_same_scores(verify, ran):
    record = Record.load(ran / "record.json")
    cases = tuple(
        msgspec.structs.replace(
            score,
            metrics={k: None if v is None else v * (1 - 1e-12) for k, v in score.metrics.items()},
        )
        for score in record.cases
    )
    change(ran, cases=cases)
    assert verify(ran)[:2] == (0, {})


def test_definitions_that_only_one_side_knows_are_not_compared_but_some_must_be(verify, ran):
    record = Record.load(ran / "record.json")
    old = [msgspec.structs.replace(s, metrics={"dice:v1": s.metrics["dice:v1"], "old:v1": 3.0}) for s in record.cases]
    change(ran, cases=tuple(old))
    assert verify(ran)[:2] == (0, {})
    change(ran, cases=tuple(msgspec.structs.replace(s, metrics={"old:v1": 3.0}) for s in record.cases))
    assert "no definition of the record is among those" in verify(ran)[1]["scores"][0]
    more = [msgspec.structs.replace(s, metrics=s.metrics | {"nsd@9mm:c6-bg-pooled:v1": 1.0}) for s in record.cases]
    change(ran, cases=tuple(more))
    assert "gives no nsd@9mm:c6-bg-pooled:v1" in verify(ran)[1]["scores"][0]


def test_a_case_left_out_is_found_though_the_record_is_sound(verify, ran):
    record = Record.load(ran / "record.json")
    worst = min(record.cases, key=lambda score: score.metrics["dice:v1"] or 0).case
    cases = tuple(score for score in record.cases if score.case != worst)
    each = {k: v for k, v in record.digests.items() if k.startswith("prediction:") and k != f"prediction:{worst}"}
    kept = {k: v for k, v in record.digests.items() if not k.startswith("prediction")}
    items = msgspec.structs.replace(record.predict, items=record.predict.items - 1)
    change(ran, cases=cases, digests=kept | each | {"predictions": digest(each)}, predict=items)
    code, broken, _, _ = verify(ran)
    assert code == 1 and broken == {"cases": [f"no score of case {worst}"]}


def test_other_data_and_another_split_are_found(verify, ran, data):
    record = Record.load(ran / "record.json")
    for key, said in (("dataset", "another dataset"), ("split", "another split")):
        change(ran, digests={**record.digests, key: "0" * 64})
        code, broken, skipped, _ = verify(ran)
        assert code == 1 and said in broken["data"][0] and skipped == {"cases", "share", "voxels", "scores"}
    change(ran, digests=record.digests)
    shifted(next((data / "tiny" / "labelsTr").glob(f"{record.cases[0].case}.nii.gz")))
    assert "is not the file its sidecar names" in verify(ran)[1]["data"][0]
    shutil.rmtree(data / "tiny")
    assert verify(ran)[1] == {"data": ["there is no tiny"]}


def test_a_dataset_name_that_leads_elsewhere_is_refused(verify, ran):
    record = Record.load(ran / "record.json")
    change(ran, dataset="../../tiny", recipe={**record.recipe, "dataset": "../../tiny"})
    assert "leads out of its folder" in verify(ran)[1]["data"][0]


def test_more_labels_than_the_protocol_allows_are_found(verify, ran):
    record = Record.load(ran / "record.json")
    assert record.budget.labelled_subjects == 2
    change(ran, budget=msgspec.structs.replace(record.budget, labelled_subjects=3, labelled_cases=6))
    assert verify(ran)[1] == {"share": ["3 labelled subjects; semi20 allows 2"]}


def test_a_rule_of_level_0_keeps_the_level_at_0_whatever_the_predictions_say(verify, ran):
    change(ran, code={"commit": "a" * 40, "dirty": "true"})
    code, broken, skipped, _ = verify(ran)
    assert code == 1 and list(broken) == ["commit"] and skipped == set()
    assert outcome(ran).level == 0 and outcome(ran).findings == ("commit: changed since commit aaaaaaaaaaaa",)


def test_a_record_that_contradicts_itself_is_not_looked_into_further(verify, ran):
    change(ran, seed=4)
    code, broken, skipped, _ = verify(ran, 2)
    assert code == 1 and list(broken) == ["recipe"] and skipped == {check.id for check in CHECKS}


def test_other_weights_are_found_by_digest_and_by_what_they_predict(verify, ran):
    path = ran / "model" / "model.safetensors"
    weights = load_file(path)
    save_file({name: -value if value.dtype.kind == "f" else value for name, value in weights.items()}, path)
    code, broken, skipped, _ = verify(ran, 2)
    assert code == 1 and list(broken) == ["weights"] and skipped == {"again"} and outcome(ran).level == 1
    record = Record.load(ran / "record.json")
    change(ran, digests={key: value for key, value in record.digests.items() if key != "model"})
    code, broken, _, _ = verify(ran, 2)
    assert list(broken) == ["again"] and "Dice" in broken["again"][0] and outcome(ran).level == 1


def test_weights_of_another_training_or_none_are_found(verify, ran):
    path = ran / "model" / "model.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"seed": 7}))
    assert verify(ran, 2)[1] == {"weights": ["trained with seed 7, recorded is 0"]}
    path.write_text(json.dumps(told | {"config": told["config"] | {"steps": 9}}))
    assert verify(ran, 2)[1] == {"weights": ["trained with other settings than the recipe's"]}
    shutil.rmtree(ran / "model")
    assert verify(ran, 2)[1] == {"weights": ["there are no weights"]} and outcome(ran).level == 1


def test_a_submission_is_verified_from_its_zip_alone_and_kept_as_records_are(bench, verify, ran, tmp_path):
    assert bench("submit", ran, "--with-models", "--out", tmp_path / "sent.zip").code == 0
    shutil.rmtree(ran)
    assert verify(tmp_path / "sent.zip", 2, "--out", tmp_path / "leaderboards" / "results")[:2] == (0, {})
    records, problems, verified = load([tmp_path / "leaderboards"])
    assert problems == [] and list(verified.values()) == [2]
    stem = f"semi20-supervised-{records[0].id()[:12]}"
    assert {path.name for path in (tmp_path / "leaderboards" / "results" / "tiny").iterdir()} == {
        f"{stem}.json", f"{stem}.verified.json", f"{stem}.log.jsonl",
    }  # fmt: skip
    code, _, _, err = verify(tmp_path / "sent.zip")
    assert code == 0 and "--out FOLDER keeps" in err


def test_a_submission_folder_is_verified_and_stays_a_submission(bench, verify, ran, tmp_path):
    assert bench("submit", ran, "--out", tmp_path / "sent").code == 0
    assert verify(tmp_path / "sent")[:2] == (0, {})
    assert verify(tmp_path / "sent")[:2] == (0, {}), "what was found is no strange file"
    assert verify(tmp_path / "sent", 2)[1] == {"weights": ["there are no weights"]}


def test_foreign_predictions_are_verified_from_their_folder(bench, verify, data, done, tmp_path):
    folder, out = done[1] / "predictions", tmp_path / "foreign"
    assert bench("score", folder, data / "tiny", "--method", "theirs", "--out", out).code == 0
    assert verify(out, 1)[1] == {"voxels": ["there is no such folder"]}
    assert verify(out / "record.json", 1, "--predictions", folder)[:2] == (0, {})
    assert outcome(out).level == 1


def test_numbers_of_a_profile_are_made_again_too(bench, verify, data, done, tmp_path):
    folder, out = done[1] / "predictions", tmp_path / "foreign"
    assert bench("score", folder, data / "tiny", "--profile", "chaos", "--method", "a", "--out", out).code == 0
    record = Record.load(out / "record.json")
    name = next(name for name, value in record.cases[0].metrics.items() if name.startswith("chaos.") and value)
    assert verify(out, 1, "--predictions", folder)[:2] == (0, {})
    worse = {**record.cases[0].metrics, name: 1.25}
    change(out, cases=(msgspec.structs.replace(record.cases[0], metrics=worse), *record.cases[1:]))
    assert name in verify(out, 1, "--predictions", folder)[1]["scores"][0]


def test_a_folder_of_records_is_a_line_each_and_a_table_for_what_is_broken(bench, ran, data, tmp_path):
    bad = shutil.copytree(ran, ran.parent / "bad")
    change(bad, code={})
    told = bench("verify", ran.parent, "--data", data, "--dry-run")
    assert told.code == 1
    good, *table = sorted(told.out.splitlines(), key=lambda line: "all 22 rules hold" not in line)
    assert ran.name in good and sum("broken" in line for line in table) == 1


def test_what_cannot_be_verified_is_said(bench, verify, ran, data, tmp_path):
    (tmp_path / "empty").mkdir()
    assert bench("verify", tmp_path / "empty").code == 3
    assert bench("verify", tmp_path / "nowhere").code == 2
    assert bench("verify", ran, ran, "--predictions", data).code == 2
    (ran / "record.json").write_text("{")
    assert bench("verify", ran, "--data", data).code == 3


def test_the_docs_list_the_rules_above_level_0_as_they_are():
    listed = re.findall(r"^\| ([12]) \| `([a-z-]+)` \| (.*?) \| \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(str(check.level), check.id, check.sentence) for check in CHECKS]


def test_the_name_of_a_folder_that_was_sent_replaces_nobody_s_record(bench, verify, ran, tmp_path):
    results, sent = tmp_path / "results", tmp_path / "sent"
    assert verify(ran, 1, "--out", results)[:2] == (0, {})
    (ours,) = (results / "tiny").glob(f"*-{ran.name}.json")
    before = ours.read_bytes()
    change(ran, machine={"cpu": "another"})
    assert bench("submit", ran, "--out", sent).code == 0
    (folder,) = (path for path in sent.iterdir() if path.is_dir())
    folder.rename(sent / ran.name)
    (sent / MANIFEST).write_text((sent / MANIFEST).read_text().replace(folder.name, ran.name))
    assert verify(sent, 1, "--out", results)[:2] == (0, {})
    assert ours.read_bytes() == before and len(list((results / "tiny").glob("*.verified.json"))) == 2
