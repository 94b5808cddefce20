"""Studies: their data, the sweep they stand for, and pages made of records alone."""

import dataclasses
import re
import shlex
from collections import Counter
from pathlib import Path

import click
import msgspec
import pytest
from tiny import tiny_dataset

from bench.cli import group
from bench.liver_page import PATIENTS, SLICES, Arm, arm
from bench.recipe import Choice, resolve
from bench.studies.chaos_liver import cut, torn
from bench.study import Asked, Run, find, names
from bench.sweep import read
from converters.dataset import Dataset
from converters.errors import UsageError
from converters.sliced import Slicing, Stack, slice_of
from leaderboards.record import Budget, CaseScore, Chosen, Cost, Record
from leaderboards.site.logs import Line

PAGE = Path(__file__).resolve().parents[2] / "docs" / "studies.md"
STILL, MOVED = ({"rotate_degrees": angle} for angle in (0.0, 10.0))


def asked(folder, **more):
    typed = {"phantom": True, "cases": None, "size": "tiny", "seeds": (0,), "jobs": 1}
    return Asked(data=folder / "data", out=folder / "out", **(typed | more))


def record(dataset, cases, **more):
    cost = Cost(
        seconds=1.0, items=1, items_per_s=1.0, peak_host_mib=1.0, peak_device_mib=None, batch=1, precision="fp32",
        segments=1,
    )  # fmt: skip
    facts = {
        "status": "done", "reason": None, "dataset": dataset, "split": "default", "protocol": "full", "draw": "0",
        "method": "ce", "seed": 0, "fold": 0, "selection": "last", "task": "labels", "annotator": "dense",
        "recipe": {}, "digests": {}, "definitions": {}, "code": {"torch": "2"}, "machine": {"cpu": "some"},
        "budget": None, "parameters": 1, "train": cost, "predict": cost, "cases": tuple(cases),
    }  # fmt: skip
    return Record(**(facts | more))


def score(case, dice, label="liver"):
    hits = round(100 * dice)
    return CaseScore(
        case=case, subject=case, group=None, label=label, status="ok" if hits else "missed", tp=hits, fp=100 - hits,
        fn=100 - hits, diagonal_mm=9.0, touches_border=False, ignored=0, metrics={"dice:v1": hits / 100},
    )  # fmt: skip


def empty(case):
    return CaseScore(
        case=case, subject=case, group=None, label="liver", status="both_empty", tp=0, fp=0, fn=0, diagonal_mm=9.0,
        touches_border=False, ignored=0, metrics={"dice:v1": None},
    )  # fmt: skip


@pytest.fixture(scope="module")
def crossed():
    """All 32 runs: dropout adds 0.10, T2 takes 0.20, and to have seen the patient adds 0.30."""
    runs = []
    for bits in (8, 16):
        for of in ("t1", "t1t2"):
            for tail in ("", "-leaky"):
                for moved in (STILL, MOVED):
                    for share in (0.0, 0.2):
                        dice = 0.4 + 0.5 * share - (0.2 if of == "t1t2" else 0) + (0.3 if tail else 0)
                        cases = [score(f"mr-{n}-t1-{k:03d}", dice + 0.01 * n) for n in (1, 2) for k in (0, 1)]
                        cases += [empty("mr-1-t1-009"), empty("mr-2-t1-009")]
                        cases += [score("mr-1-t2-000", 0.9)] if of == "t1t2" else []
                        train = {"augment": moved, "net": {"options": {"dropout": share}}, "method": "ce"}
                        name = f"phantom-chaos-liver-{of}-{bits}bit{tail}"
                        runs.append(Run(record(name, cases, recipe={"preset": "demo", "train": train}), ()))
    return runs


def test_the_page_of_the_liver_says_what_was_planted(crossed):
    files = find("chaos-liver").page(crossed)
    text = files["index.md"].decode().replace("\\", "")
    assert set(files) == {"index.md", "volumes.svg", "slices.svg"}
    assert "Made-up patients" in text and "32 runs" in text and "take twice the steps" in text
    assert "before they are resized" in text
    assert "| slices with liver in reference or prediction |" in text
    rows = {cells[1].strip(): cells for line in text.splitlines() if len(cells := line.split("|")) > 3}
    # Both patients differ alike, so the interval is a point.
    assert rows["dropout 0.2"][2].strip().startswith("+0.100 [+0.100, +0.100]")
    assert rows["T2 slices mixed in"][2].strip().startswith("-0.200")
    assert rows["8 bit to 16 bit"][3].strip().startswith(("+0.000", "-0.000"))
    assert [cell.strip() for cell in rows["dropout 0.2"][4:6]] == ["2", "8"]
    # Slices of Dice d and a third that is empty: (2 d + 1) / 3 where empty ones count.
    means = {
        split: sum(0.4 + 0.05 - 0.1 + lift + 0.01 * n for n in (1, 2)) / 2
        for split, lift in (("patients", 0), ("slices", 0.3))
    }
    for split, mean in means.items():
        cells = [cell.strip() for cell in rows[f"{split} are split"][2:6]]
        assert cells == [f"{(2 * mean + 1) / 3:.3f}", f"{mean:.3f}", f"{mean:.3f}", "16"]
    assert rows["difference"][3].strip() == "+0.300"
    assert re.search(r"very same slices \(6 of 2 patients.*\+0\.200 \[\+0\.200, \+0\.200\].*16 pairs", text)
    assert text.count("| 16 bit, T1+T2, augmented, dropout |") == 2
    assert find("chaos-liver").page(list(reversed(crossed))) == files


def test_the_page_is_of_what_is_there(crossed):
    one = find("chaos-liver").page(crossed[:1])
    assert "of one run;" in one["index.md"].decode() and "very same" not in one["index.md"].decode()
    assert arm(crossed[0].record) == Arm(8, False, False, False, PATIENTS)
    assert arm(crossed[-1].record) == Arm(16, True, True, True, SLICES)
    assert arm(record("acdc", [], recipe={"train": {}})) is None


def test_each_study_is_a_sweep_of_ordinary_recipes(tmp_path):
    assert names() == ["chaos-liver", "lung-tumour"]
    for name, count in (("chaos-liver", 32), ("lung-tumour", 1)):
        study = find(name)
        for size in study.SIZES:
            file = tmp_path / "sweep.toml"
            file.write_text(study.sweep(asked(tmp_path, size=size, seeds=(0, 1))), encoding="utf-8")
            units = read(file)
            assert len({unit.words for unit in units}) == 2 * count
            assert all(dict(unit.flags)["dataset"].startswith("phantom-") for unit in units)


def liver_recipes(folder, size):
    """Each run of the liver study, as a machine resolves it that multiplies bfloat16."""
    file = folder / "sweep.toml"
    file.write_text(find("chaos-liver").sweep(asked(folder, size=size)), encoding="utf-8")
    for unit in read(file):
        flags = dict(unit.flags)
        yield resolve(Choice(flags["dataset"], flags["preset"], settings=unit.settings), bf16=True)


@pytest.mark.parametrize("size", ["published", "cpu", "demo", "tiny"])
def test_slices_of_t2_take_as_many_steps_again(size, tmp_path):
    recipes = list(liver_recipes(tmp_path, size))
    steps = {
        mixed: {one.train.steps for one in recipes if ("-t1t2-" in one.dataset) == mixed} for mixed in (False, True)
    }
    assert len(steps[False]) == 1 and steps[True] == {2 * each for each in steps[False]}
    assert len(recipes) == 32 and Counter("-t1t2-" in one.dataset for one in recipes) == {False: 16, True: 16}
    assert {one.train.power for one in recipes} == {0.0}  # steps alone are more, the rate is what it was


def test_sixteen_bits_are_not_rounded_to_the_eight_of_bfloat16(tmp_path):
    assert {(one.train.precision, one.predict.precision) for one in liver_recipes(tmp_path, "published")} == {
        ("fp32", "trained")
    }


def test_the_split_of_slices_puts_every_patient_on_every_side(dataset_of):
    dataset = dataset_of(2)
    names = [f"mr-{patient}-{stack}-{k:03d}" for patient in (1, 2) for stack in ("t1", "t2") for k in range(15)]
    cases = tuple(msgspec.structs.replace(dataset.cases[0], id=name, subject=name) for name in names)
    split = torn(dataclasses.replace(dataset, cases=cases))
    assert split.check() == [] and sorted((*split.train, *split.val, *split.test)) == sorted(names)
    for side, count in ((split.train, 10), (split.val, 2), (split.test, 3)):
        assert Counter(slice_of(name)[:2] for name in side) == dict.fromkeys(
            [(f"mr-{patient}", stack) for patient in (1, 2) for stack in ("t1", "t2")], count
        )


@pytest.mark.parametrize("lost", ["splits/slices.json", "splits/default.json", "README.md"])
def test_what_a_killed_study_had_yet_to_write_is_written_by_the_next(lost, tmp_path):
    study = asked(tmp_path)
    hearts = tiny_dataset(study.data / "tiny", 2, shape=(16, 14, 5))
    stacks = [Stack(dataclasses.replace(hearts, cases=hearts.cases[::2]), "cine", "t1")]
    slicing = Slicing("sliced", "left", 16, True)
    cut(stacks, slicing, study)
    file = study.data / "sliced" / lost
    held = file.read_bytes()
    file.unlink()
    cut(stacks, slicing, study)
    assert file.read_bytes() == held


def test_what_makes_no_sense_is_refused(bench, tmp_path):
    for words, told in (
        (("chaos-lever",), "chaos-liver"),
        (("chaos-liver", "--size", "huge"), "published"),
        (("chaos-liver", "--cases", 6), "--phantom"),
    ):
        done = bench("study", *words, "--data", tmp_path, "--out", tmp_path / "out")
        assert done.code == 2 and told in done.err
    done = bench("study", "lung-tumour", "--data", tmp_path, "--out", tmp_path / "out", "--size", "tiny")
    assert done.code == 3 and "bench convert folder FOLDER" in done.err and not (tmp_path / "out").exists()
    done = bench("study", "chaos-liver", "--data", tmp_path, "--out", tmp_path / "out", "--size", "tiny")
    assert done.code == 3 and "bench convert chaos" in done.err
    with pytest.raises(UsageError):
        find("chaos_liver")


def test_the_lung_tumour_page_says_when_training_ended():
    budget = Budget(
        labelled_subjects=16, labelled_cases=32, annotated_voxels=9, annotated_slices=32, validation_subjects=4
    )
    chosen = Chosen(step=20, dice={10: 0.5, 20: 0.75, 30: 0.7, 40: 0.6, 50: 0.5}, accuracy={20: 0.875})
    cases = [score(f"person{n}-a", 0.5 + 0.1 * n, label) for n in (0, 1) for label in ("lung", "tumour")]
    train = {"steps": 90, "method": "ce"}
    made = record(
        "phantom-lung-tumour", cases, recipe={"preset": "demo", "train": train}, selection="early_stop", chosen=chosen,
        budget=budget,
    )  # fmt: skip
    log = tuple(Line(step, {"ce": 1 / (step + 1)}) for step in range(0, 50, 10))
    files = find("lung-tumour").page([Run(made, log)])
    text = files["index.md"].decode()
    assert set(files) == {"index.md", "loss-0.svg", "accuracy-0.svg"}
    assert "| 0 | 50 of 90 | 5 | 20 | 0.750 | 0.875 | 12 | 4 |" in text
    assert "| tumour | 0.550 |" in text
    assert b"Step 20 is tested" in files["accuracy-0.svg"]


def test_a_whole_study_from_pictures_to_a_page(bench, tmp_path):
    words = ("study", "lung-tumour", "--phantom", "--cases", 5, "--size", "tiny", "--device", "cpu", "--cache", "none")
    where = ("--data", tmp_path / "data", "--out", tmp_path / "out", "--runs", tmp_path / "runs")
    done = bench(*words, *where)
    assert done.code == 0, done.err
    dataset = Dataset.load(tmp_path / "data" / "phantom-lung-tumour")
    assert dataset.file.bench.preparation["median"].startswith("median over 3 x 3")
    assert (len(dataset.cases), dataset.classes, dataset.file.bench.ndim) == (10, 3, 2)
    (file,) = (tmp_path / "runs").rglob("record.json")
    made = Record.load(file)
    assert (made.split, made.selection, made.recipe["split"]) == ("60-20-20", "early_stop", "60-20-20")
    assert made.budget.labelled_subjects == 3 + 1 and made.budget.validation_subjects == 1
    assert len({score.subject for score in made.cases}) == 1
    page = (tmp_path / "out" / "index.md").read_bytes()
    assert b"Made-up patients" in page and (tmp_path / "out" / "loss-0.svg").is_file()
    stamp = file.stat().st_mtime_ns
    assert bench(*words, *where).code == 0
    assert file.stat().st_mtime_ns == stamp and (tmp_path / "out" / "index.md").read_bytes() == page


@pytest.mark.studies
def test_the_liver_study_goes_on_where_it_stopped(bench, tmp_path):
    words = ("study", "chaos-liver", "--phantom", "--cases", 5, "--size", "tiny", "--device", "cpu")
    where = ("--data", tmp_path / "data", "--out", tmp_path / "out", "--runs", tmp_path / "runs")
    assert bench(*words, *where, "--data-only").code == 0
    units = read(tmp_path / "out" / "sweep.toml")
    assert bench("run", *units[3].words, *where[:2], *where[4:], "--device", "cpu").code == 0
    assert bench(*words, *where).code == 0
    files = list((tmp_path / "runs").rglob("record.json"))
    arms = {arm(Record.load(file)) for file in files}
    assert len(files) == len(arms) == 32
    text = (tmp_path / "out" / "index.md").read_text(encoding="utf-8")
    assert "very same slices" in text and text.count("| 8 bit, T1 |") == 2
    for file in files:
        found = Record.load(file)
        assert (found.cases[0].subject == found.cases[0].case) == found.dataset.endswith("-leaky")
        assert (found.split == "slices") == found.dataset.endswith("-leaky")


def test_the_page_of_docs_names_commands_that_there_are():
    blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines() if line.startswith("bench ")]
    assert len(lines) == 5
    context = click.Context(group)
    for line in lines:
        _, verb, *words = shlex.split(line)
        command = group.get_command(context, verb)
        parsed = command.make_context(verb, list(words))
        assert verb != "study" or parsed.params["name"] in names()
