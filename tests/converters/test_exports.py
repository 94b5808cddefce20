"""Exports: written whole or not at all, with the voxels that the sidecars name."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
import pytest
from tiny import tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError
from converters.export import export, names, sides
from converters.exports.nnunet import paint


@pytest.fixture
def hearts(tmp_path) -> Dataset:
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 7, unlabelled=1, held_out=2, scribbles=True)
    freeze_default(dataset)
    return dataset


@pytest.fixture
def anyone(hearts) -> Dataset:
    """The same with a channel that every format has a word for."""
    card = hearts.file.bench
    channel = msgspec.structs.replace(card.channels[0], name="T1w")
    card = msgspec.structs.replace(card, channels=(channel,))
    file = msgspec.structs.replace(hearts.file, channel_names={"0": "T1w"}, bench=card)
    cases = (msgspec.structs.replace(case, images={"T1w": case.images["cine"]}) for case in hearts.cases)
    dataclasses.replace(hearts, file=file, cases=tuple(cases)).save()
    return Dataset.load(hearts.root)


@pytest.fixture
def strokes(hearts, tmp_path) -> Dataset:
    return view(hearts, hearts.split("default"), parse("scribble"), 0, tmp_path / "views" / "strokes")


def voxels(path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def described(out) -> dict:
    return json.loads((out / "dataset.json").read_text())


@pytest.mark.parametrize("to", names())
def test_a_folder_that_holds_something_is_left_as_it_is(to, anyone, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(BenchError, match="not empty"):
        export(to, anyone, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("to", names())
def test_a_file_with_other_voxels_stops_the_export_and_nothing_is_left(to, anyone, tmp_path):
    first, second = (anyone.root / anyone.cases[n].images["T1w"].file for n in (0, 2))
    second.write_bytes(first.read_bytes())
    with pytest.raises(BenchError, match="not those that the sidecar names"):
        export(to, anyone, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_what_a_killed_export_left_goes_with_the_next_one(hearts, tmp_path):
    def left(name, pid):
        (tmp_path / f".{name}.{pid}.tmp" / "images").mkdir(parents=True)
        return f".{name}.{pid}.tmp"

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getpid(), 10**30):
        left("o[u]t", pid)
    kept = {left("o[u]t", os.getppid()), left("o[u]t", "mine"), left("other", gone.pid)}
    export("nnunet", hearts, tmp_path / "o[u]t")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "o[u]t", *kept}


def test_the_folder_may_be_a_link_but_not_the_one_one_stands_in(hearts, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for name, target in (("link", "empty"), ("ahead", "far/away")):
        (tmp_path / name).symlink_to(target)
        export("nnunet", hearts, tmp_path / name)
        assert (tmp_path / name).is_symlink() and (tmp_path / target / "dataset.json").is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BenchError, match="the one you stand in"):
        export("nnunet", hearts, Path())
    export("nnunet", hearts, Path("\u00e9" * 120))
    assert [path.name for path in Path().iterdir()] == ["\u00e9" * 120]


def test_every_case_stands_on_one_side_of_an_export(hearts):
    split = hearts.split("default")
    for found in (sides(hearts, split), sides(hearts, None)):
        ids = [case.id for side in (found.train, found.val, found.test, found.rest) for case in side]
        assert sorted(ids) == sorted(case.id for case in hearts.cases)
    assert {case.subject for case in sides(hearts, split).val} == set(split.val)


def test_nnunet_gets_every_labelled_case_and_never_sees_the_others(hearts, tmp_path):
    notices = export("nnunet", hearts, tmp_path / "Dataset901_tiny")
    out = tmp_path / "Dataset901_tiny"
    kinds = {
        kind: [case for case in hearts.cases if f"images{kind}/" in case.images["cine"].file]
        for kind in ("Tr", "Ts", "Un")
    }
    for kind, cases in kinds.items():
        assert sorted(p.name for p in (out / f"images{kind}").iterdir()) == [f"{c.id}_0000.nii.gz" for c in cases]
    assert not (out / "labelsUn").exists()
    assert described(out)["numTraining"] == len(kinds["Tr"]) == len(list((out / "labelsTr").iterdir()))
    assert "ignore" not in described(out)["labels"]
    assert notices == ("2 cases without a label stand in imagesUn, where nnU-Net does not look",)
    case = kinds["Tr"][0]
    assert (out / f"labelsTr/{case.id}.nii.gz").read_bytes() == (hearts.root / case.label.file).read_bytes()


def test_nnunet_trains_and_validates_on_our_split_and_finds_its_test_side_in_images_ts(hearts, tmp_path):
    export("nnunet", hearts, tmp_path / "Dataset901_tiny", "default")
    split = hearts.split("default")
    (fold,) = json.loads((tmp_path / "Dataset901_tiny" / "splits_final.json").read_text())
    subject = {case.id: case.subject for case in hearts.cases if case.label}
    assert {subject[case] for case in fold["val"]} == set(split.val)
    assert {subject[case] for case in fold["train"]} == set(split.train) & set(subject.values())
    tests = {path.name.split("_")[0] for path in (tmp_path / "Dataset901_tiny" / "imagesTs").iterdir()}
    assert {subject[case] for case in tests} == set(split.test)


def test_voxels_that_nobody_annotated_are_nnunets_ignore_label(strokes, tmp_path):
    export("nnunet", strokes, tmp_path / "Dataset901_tiny")
    labels = described(tmp_path / "Dataset901_tiny")["labels"]
    assert labels == {"background": 0, "right": 1, "wall": 2, "left": 3, "ignore": 4}
    for case in strokes.cases:
        if case.label is not None:
            ours = voxels(strokes.root / case.label.file)
            theirs = voxels(tmp_path / "Dataset901_tiny" / "labelsTr" / f"{case.id}.nii.gz")
            assert set(np.unique(ours)) - {0, 1, 2, 3} == {IGNORE}
            np.testing.assert_array_equal(np.where(ours == IGNORE, 4, ours), theirs)


def test_a_view_has_no_other_side_to_split_off(strokes, tmp_path):
    with pytest.raises(BenchError, match="training side of its split"):
        export("nnunet", strokes, tmp_path / "out", "default")


REGIONS = {
    "nested": {"whole": (1, 2, 3), "core": (2, 3), "rim": 3},
    "crossing": {"left lung": (1, 4), "heart": (2, 4), "right lung": 3},
    "three ways": {"a": (1, 4, 5, 7), "b": (2, 4, 6, 7), "c": (3, 5, 6, 7)},
    "one alone": {"a": (1, 2), "b": (3, 4), "c": 4},
}


@pytest.mark.parametrize("labels", REGIONS.values(), ids=REGIONS)
def test_regions_are_painted_so_that_each_set_of_structures_gets_its_own_code(labels):
    ordered, painted = paint(labels)
    assert len(painted) == len(ordered)
    sets = {}
    for code in range(1, 1 + max(c for v in labels.values() for c in (v if isinstance(v, tuple) else (v,)))):
        inside = {name for name, v in labels.items() if code in (v if isinstance(v, tuple) else (v,))}
        sets.setdefault(frozenset(inside), code)
    for inside, code in sets.items():
        last = 0
        for (name, value), paints in zip(ordered.items(), painted, strict=True):
            if code in (value if isinstance(value, tuple) else (value,)) and (name in inside or name not in labels):
                last = paints
        assert last == code


def test_labels_without_a_region_have_no_order():
    assert paint({"a": 1, "b": (2,)}) == ({"a": 1, "b": 2}, ())


def test_the_command_says_what_it_wrote(bench, hearts, tmp_path):
    done = bench("export", hearts.root, tmp_path / "Dataset901_tiny", "--to", "nnunet", "--split", "default", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (said["dataset"], said["format"], said["split"], said["cases"]) == ("tiny", "nnunet", "default", 14)
    assert said["files"] == sum(path.is_file() for path in (tmp_path / "Dataset901_tiny").rglob("*"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--to", "nnunett"], 2, "Did you mean 'nnunet'?"),
        (["--to", "nnunet", "--split", "none"], 3, "splits here: default"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(bench, hearts, tmp_path, words, code, told):
    done = bench("export", hearts.root, tmp_path / "out", *words)
    assert done.code == code and told in done.err
    assert not (tmp_path / "out").exists()


def test_exports_are_listed(bench):
    assert [json.loads(line)["name"] for line in bench("ls", "exports", "--json").out.splitlines()] == names()
