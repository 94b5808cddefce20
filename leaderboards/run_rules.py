"""The rules about what a record tells of its run: one that breaks them stays in its table, and is not verified."""

import re

from leaderboards.record import Record
from leaderboards.rule import PREDICTION, Book, Found, by_case, is_foreign
from leaderboards.task_rules import of_labels, unpaid

EVIDENCE = ("dataset", "split", "code", "predictions")  # digests without which nothing can be scored again
RULES = Book(fatal=False)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_KNOWN = {"full", "semi", "scribble", "noisy"}  # protocols of which it is known whether labels agree with the reference


@RULES.rule("evidence", "Dataset, split, code and predictions are named by their sha256.")
def _evidence(record: Record) -> Found:
    wanted = dict.fromkeys(EVIDENCE) | dict(record.digests)
    if wrong := sorted(key for key, value in wanted.items() if value is None or not _SHA256.fullmatch(value)):
        yield f"no sha256 of {', '.join(wrong)}"


@RULES.rule("every-prediction", "Every case that is not invalid has the digest of its prediction.")
def _every_prediction(record: Record) -> Found:
    cases = by_case(record)
    known = {key.removeprefix(PREDICTION) for key in record.digests if key.startswith(PREDICTION)}
    valid = {case for case, scores in cases.items() if any(score.status != "invalid" for score in scores)}
    if lost := sorted(valid - known):
        yield f"no digest of the prediction for {', '.join(lost)}"
    if strange := sorted(known - set(cases)):
        yield f"a prediction, but no score, for {', '.join(strange)}"


@RULES.rule("seed", "One seed, a whole number from 0, for a run of ours the one in its recipe.")
def _seed(record: Record) -> Found:
    if record.seed < 0 or not (is_foreign(record) or "seed" in record.recipe):
        yield f"seed {record.seed}" + ("" if "seed" in record.recipe else ", and none in the recipe")


@RULES.rule("commit", "A run of ours names the commit of its code, and nothing was changed since.")
def _commit(record: Record) -> Found:
    commit = record.code.get("commit", "")
    if is_foreign(record):
        return
    if not _COMMIT.fullmatch(commit):
        yield f"commit '{commit}'" if commit else "no commit"
    elif record.code.get("dirty") != "false":
        yield f"changed since commit {commit[:12]}"


@RULES.rule("budget", "A run of ours says what labels it saw, and they suit its protocol.")
def _budget(record: Record) -> Found:
    budget = record.budget
    if is_foreign(record):
        return
    if budget is None:
        yield "no budget"
        return
    if not of_labels(record):
        yield from unpaid(budget)
        return
    if min(budget.labelled_subjects, budget.annotated_slices, budget.annotated_voxels) < 1:
        yield "no annotated voxel, slice or subject"
    if not budget.labelled_subjects <= budget.labelled_cases <= budget.annotated_slices <= budget.annotated_voxels:
        yield "fewer cases than subjects, slices than cases, or voxels than slices"
    if budget.agreement is not None and not 0 <= budget.agreement <= 1:
        yield f"labels agree to {budget.agreement}"
    kind = record.protocol.rstrip("0123456789")
    if kind in _KNOWN and (kind == "noisy") != (budget.agreement is not None):
        yield f"protocol {record.protocol}, labels that agree to {budget.agreement} with the clean ones"


@RULES.rule("cost", "A run of ours says what training and prediction took, the latter for every case.")
def _cost(record: Record) -> Found:
    if is_foreign(record):
        return
    if record.train is None or record.predict is None:
        yield "no cost"
    elif record.predict.items != len(by_case(record)):
        yield f"{record.predict.items} cases predicted, {len(by_case(record))} scored"
    elif min(record.train.seconds, record.predict.seconds, record.train.items, record.parameters) <= 0:
        yield "no time, no sample or no parameter"
