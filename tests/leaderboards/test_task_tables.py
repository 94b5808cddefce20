"""Rows of tasks without label maps: means, areas under ROC, what a missing prediction counts for, tables and rules."""

import math
from statistics import fmean

import msgspec
import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from converters.files import digest
from leaderboards import columns, tasks
from leaderboards.gate import Limits
from leaderboards.judge import scores
from leaderboards.record import FORMAT, Budget, CaseScore
from leaderboards.rules import broken
from leaderboards.site.content import Content, Extras
from leaderboards.summary import cells, counted, leading, ranked, summarise
from leaderboards.table import groups, rows

PEOPLE = [f"p{number}" for number in range(12)]


def scored(case, label, values, status="ok"):
    return CaseScore(
        case=case, subject=case, group=None, label=label, status=status, tp=0, fp=0, fn=0, diagonal_mm=300.0,
        touches_border=False, ignored=0, metrics=values,
    )  # fmt: skip


def classified(right=10, probability=0.8, status="ok"):
    """Twelve people in turns of two classes, the first `right` of whom are told apart."""
    scores = []
    for number, case in enumerate(PEOPLE):
        truth = "fm"[number % 2]
        said = truth if number < right else "mf"[number % 2]
        for label in "fm":
            p = probability - 0.01 * number
            fine = status == "ok"
            values = {
                "accuracy:v1": float(said == truth) if fine else None,
                "probability:v1": (p if label == said else 1 - p) if fine else None,
                "truth:v1": float(label == truth),
                "constant_accuracy:v1": float(truth == "f"),
            }
            scores.append(scored(case, label, values, status))
    return tuple(scores)


def aged(error=3.0, status="ok"):
    fine = status == "ok"
    return tuple(
        scored(
            case,
            "age_years",
            {
                "absolute_error_years:v1": abs(error) + i % 3 if fine else None,
                "error_years:v1": math.copysign(abs(error) + i % 3, error) if fine else None,
                "truth_years:v1": 30.0 + i,
                "constant_absolute_error_years:v1": 12.0,
            },
            status,
        )
        for i, case in enumerate(PEOPLE)
    )


def pictured(gain=2.0):
    return tuple(
        scored(case, "t1", {"psnr_db:v1": 20 + gain + i / 10, "ssim:v1": 0.8, "psnr_db_linear:v2": 20 + i / 10})
        for i, case in enumerate(PEOPLE)
    )


@pytest.fixture
def of_task(make):
    def made(task, cases, **fields):
        each = {f"prediction:{case}": digest(case) for case in PEOPLE}
        recipe = {"seed": fields.get("seed", 0), "draw": "0", "task": task, "train": {}}
        record = make(
            cases, task=task, dataset="phantom-ixi-t1", protocol="full", recipe=recipe, annotator="recorded",
            digests={"dataset": "ab" * 32, "split": "cd" * 32, "code": "ef" * 32, **each, "predictions": digest(each)},
            code={"commit": "a" * 40, "dirty": "false"}, definitions={"protocol": "full:v1", "record": str(FORMAT)},
            budget=Budget(labelled_subjects=20, labelled_cases=20, annotated_voxels=0, annotated_slices=0), **fields,
        )  # fmt: skip
        return msgspec.structs.replace(record, predict=msgspec.structs.replace(record.predict, items=len(PEOPLE)))

    return made


def test_the_area_is_that_of_mann_and_whitney_and_its_interval_that_of_delong():
    rng = np.random.default_rng(1)
    inside, outside = rng.normal(1, 1, 9), np.round(rng.normal(0, 1, 13), 1)
    inside[0] = outside[0]  # a tie
    p = {f"a{i}": float(v) for i, v in enumerate(inside)} | {f"b{i}": float(v) for i, v in enumerate(outside)}
    truth = {subject: float(subject[0] == "a") for subject in p}
    found = tasks.areas({"x": p}, {"x": truth})["x"]
    expected = mannwhitneyu(inside, outside).statistic / (len(inside) * len(outside))
    assert fmean(found.values()) == pytest.approx(expected)
    over = [fmean((a > b) + (a == b) / 2 for b in outside) for a in inside]
    under = [fmean((a > b) + (a == b) / 2 for a in inside) for b in outside]
    delong = np.var(over, ddof=1) / len(inside) + np.var(under, ddof=1) / len(outside)
    values = np.array([*found.values()])
    assert values.var(ddof=1) / len(values) == pytest.approx(delong, rel=0.1)


def test_a_class_of_a_single_person_has_no_area():
    truth = {"a": 1.0, "b": 0.0, "c": 0.0}
    assert tasks.areas({"x": dict.fromkeys(truth, 0.5)}, {"x": truth}) == {}


def test_accuracy_and_area_of_a_row(of_task):
    (row,), problems = rows([of_task("sex", classified())])
    assert problems == []
    assert row.macro["accuracy:v1"].mean == pytest.approx(10 / 12)
    assert row.macro["constant_accuracy:v1"].mean == 0.5
    area = summarise([classified()], tasks.AUC)
    assert row.macro[tasks.AUC] == area and 0.5 < area.mean < 1
    assert row.section.definitions["auc"] == tasks.AUC
    assert row.intervals["accuracy:v1"].low < 10 / 12 < row.intervals["accuracy:v1"].high <= 1


@pytest.mark.parametrize(
    ("task", "cases", "heads", "first"),
    [
        ("sex", classified(), ["Accuracy", "95 % interval", "Accuracy, most frequent class", "AUC"], "0.833"),
        ("age", aged(), ["MAE years", "95 % interval", "MAE years, constant"], "4.00"),
        ("superres", pictured(), ["PSNR dB", "95 % interval", "PSNR dB, linear", "SSIM"], "22.55"),
    ],
)
def test_the_columns_of_a_table_are_those_of_its_task(of_task, task, cases, heads, first):
    (table,) = columns.tables(rows([of_task(task, cases)])[0])
    assert f"task {task}" in table.title
    assert list(table.columns[1 : 1 + len(heads)]) == heads
    assert "Dice" not in " ".join((*table.columns, *table.notes))
    assert table.rows[0][1].text.startswith(first)


def test_tasks_never_share_a_table_and_the_smallest_error_comes_first(of_task, make):
    records = [of_task("age", aged(9.0)), of_task("age", aged(-2.0), method="other")]
    records += [of_task("sex", classified()), make(dataset="phantom-ixi-t1", protocol="full")]
    tables = columns.tables(rows(records)[0])
    assert len(tables) == 3
    ages = next(table for table in tables if "task age" in table.title)
    assert [row[0].text for row in ages.rows] == ["other", "supervised"]
    assert "rank by MAE years" in ages.columns


def test_what_a_missing_prediction_counts_for():
    sexes = {(s.case, s.label): s for s in classified(status="invalid")}
    assert counted(sexes["p0", "f"], "accuracy:v1") == 0.0
    assert counted(sexes["p0", "f"], "probability:v1") == 0.0  # p0 is f
    assert counted(sexes["p0", "m"], "probability:v1") == 1.0
    assert counted(sexes["p0", "f"], "constant_accuracy:v1") == 1.0
    age = aged(status="invalid")[5]
    assert counted(age, "absolute_error_years:v1") == 35.0  # as if 0 were predicted
    young = msgspec.structs.replace(age, metrics={**age.metrics, "truth_years:v1": 2.0})
    assert counted(young, "absolute_error_years:v1") == 12.0  # no better than the constant
    assert counted(age, "error_years:v1") is None
    lost = scored("p0", "t1", {"psnr_db:v1": None, "ssim:v1": None, "psnr_db_linear:v2": 20.0}, "invalid")
    assert [counted(lost, d) for d in ("psnr_db:v1", "ssim:v1", "psnr_db_linear:v2")] == [0.0, 0.0, 20.0]


def test_people_whose_predictions_are_missing_lower_the_area():
    good = classified(12)
    worse = tuple(
        msgspec.structs.replace(s, status="invalid", metrics={**s.metrics, "accuracy:v1": None, "probability:v1": None})
        if s.case in {"p0", "p1"}
        else s
        for s in good
    )
    assert summarise([good], tasks.AUC).mean == 1.0
    assert summarise([worse], tasks.AUC).mean < 0.8


def test_two_images_of_a_person_are_one_person():
    cases = tuple(
        msgspec.structs.replace(s, case=f"{s.case}-{n}", subject=s.subject) for n in (1, 2) for s in classified()
    )
    found = cells([cases], [tasks.AUC])
    assert np.isfinite(found.values[0, found.labels.index("f")]).sum() == len(PEOPLE)
    assert summarise([cases], tasks.AUC).mean == pytest.approx(summarise([classified()], tasks.AUC).mean)


def test_what_rows_are_put_in_order_by():
    assert leading(["ssim:v1", "psnr_db:v1", "psnr_db_linear:v2"]) == ["psnr_db:v1"]
    assert ranked(["ssim:v1", "psnr_db:v1"]) == ["psnr_db:v1", "ssim:v1"]
    assert ranked(["nsd@2mm:c6-bg-pooled:v1", "dice:v1"]) == ["dice:v1", "nsd@2mm:c6-bg-pooled:v1"]


@pytest.mark.parametrize(("task", "cases"), [("sex", classified()), ("age", aged()), ("superres", pictured())])
def test_a_sound_record_of_a_task_keeps_every_rule(of_task, task, cases):
    assert broken(of_task(task, cases)) == []
    lost = of_task(task, tuple(msgspec.structs.replace(s, status="invalid", metrics=_unknown(s)) for s in cases))
    assert broken(lost) == []


def _unknown(score):
    known = ("truth", "constant_", "psnr_db_linear")
    return {d: value if d.startswith(known) else None for d, value in score.metrics.items()}


@pytest.mark.parametrize(
    ("rule", "task", "change", "said"),
    [
        ("counts", "sex", {"tp": 3}, "voxel counts"),
        ("counts", "age", {"status": "missed"}, "status 'missed'"),
        ("task", "age", {"absolute_error_years:v1": 1.0}, "an error of 3.0 that is 1.0 in size"),
        ("task", "age", {"error_years:v1": None}, "no value of error"),
        ("task", "sex", {"truth:v1": 0.0}, "not of one class"),
        ("task", "sex", {"accuracy:v1": 0.0}, "right under one class and wrong under another"),
        ("task", "sex", {"probability:v1": 0.1}, "probabilities add up to 0.3"),
        ("task", "age", {"status": "invalid"}, "a value of a prediction that is not valid"),
        ("range", "superres", {"psnr_db:v1": 120.0}, "psnr_db:v1 is 120.0"),
        ("range", "sex", {"accuracy:v1": 2.0}, "accuracy:v1 is 2.0"),
    ],
)
def test_each_breach_is_told_by_its_rule(of_task, rule, task, change, said):
    cases = {"sex": classified, "age": aged, "superres": pictured}[task]()
    fields = {key: value for key, value in change.items() if ":" not in key}
    values = {key: value for key, value in change.items() if ":" in key}
    first = msgspec.structs.replace(cases[0], **fields, metrics={**cases[0].metrics, **values})
    found = [finding for finding in broken(of_task(task, (first, *cases[1:]))) if finding.rule.id == rule]
    assert said in found[0].sentence


def test_scores_of_structures_are_none_of_a_task(of_task, score):
    found = broken(of_task("sex", (score("p0"),)))
    assert {"counts", "task"} <= {finding.rule.id for finding in found}


def test_an_annotation_budget_has_no_place_in_a_task(of_task):
    record = of_task("age", aged())
    drawn = msgspec.structs.replace(record, budget=msgspec.structs.replace(record.budget, annotated_voxels=9))
    assert [finding.rule.id for finding in broken(drawn)] == ["budget"]


def test_the_site_shows_each_task_by_its_own_measure(of_task, make, tmp_path):
    from leaderboards.collect import Collected
    from leaderboards.site import pages

    records = [of_task("age", aged()), of_task("age", aged(4.0), seed=1), of_task("sex", classified())]
    content = Content(Collected(records, [], {}), Extras())
    shown = b"".join(
        text
        for files in (
            pages.index(content),
            pages.dataset(content, "phantom-ixi-t1"),
            pages.protocol(content, "phantom-ixi-t1", "full"),
        )
        for name, text in files.items()
        if name.endswith(".html")
    ).decode()
    assert "MAE years" in shown and "Accuracy" in shown and "area under the ROC curve" in shown
    assert "Dice" not in shown.replace("mean of the ranks in every table that all rows of a protocol share, Dice", "")


@pytest.mark.parametrize(("error", "verdict"), [(9.0, "regressed"), (1.0, "improved"), (3.0, "within")])
def test_a_larger_error_is_a_regression(of_task, error, verdict):
    base = [of_task("age", aged(3.0 + 0.1 * seed), seed=seed) for seed in range(3)]
    (before,), _ = groups(base)
    (after,), _ = groups([of_task("age", aged(error), seed=9)])
    limits = Limits(gate="retrained", seeds=3)
    told = [one for one in scores(before, after, limits) if one.metric.startswith("absolute")]
    assert [one.verdict for one in told] == [verdict]
