"""Made-up heads of IXI beside those of MRBrainS13, by the lines of docs/protocols.md; `tests/bench/test_more_views.py`
has the rules for any dataset.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from contents import facts

from bench import protocols
from converters.dataset import Dataset
from converters.phantoms import ixi, mrbrains13
from converters.phantoms.ixi import Quirks
from converters.volume import read_label, turned

ROOT = Path(__file__).resolve().parents[2]

QUICK = ("steps=2", "patch=[16,16]", "net.widths=[4,8]", "net.dropout=[0.0,0.0]", "batch=4", "threads=1")
TURNED = (
    "slices of phantom-ixi-t1 run right-left, those of phantom-mrbrains13-tissue-t1 foot-head: "
    "a network sees the former turned"
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Both sources as they are downloaded; three labelled heads of one, two of the other."""
    room = tmp_path_factory.mktemp("heads")
    mrbrains13.write(room / "mrbrains13", 3, 0)
    ixi.write(room / "ixi", 2, 0, Quirks(contrasts=("T1", "T2")))
    return room


@pytest.fixture
def lines(raw, tmp_path, monkeypatch):
    """The example of the page as words, where datasets are made up, from a folder where both sources lie in RAW."""
    (tmp_path / "RAW").symlink_to(raw)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\w*\n(bench convert mrbrains13 .*?)^```$", text, re.MULTILINE | re.DOTALL)
    words = [shlex.split(line)[1:] for line in block.splitlines()]
    names = {name: f"phantom-{name}" for name in ("ixi-t1", "mrbrains13-tissue-t1")}
    made = [[names.get(word, word) if verb != "convert" else word for word in (verb, *rest)] for verb, *rest in words]
    made[-1] += [part for setting in QUICK for part in ("--set", f"train.{setting}")]
    made[-1] += ["--preset", "cpu", "--device", "cpu", "--json"]
    return made


def test_ixi_joins_mrbrains_as_the_page_says(lines, bench, tmp_path):
    *before, run = lines
    for line in before:
        done = bench(*line)
        assert done.code == 0, done.err
    assert TURNED in done.err
    seen = Dataset.load(next((tmp_path / "views").rglob("dataset.json")).parent)
    assert seen.channels == ("t1",) and facts(seen)["unlabelled_cases"] == 2
    assert {case.id.startswith("phantom-ixi-t1-") == (case.label is None) for case in seen.cases} == {True}
    done = bench(*run)
    assert done.code == 0 and TURNED in done.err, done.err
    record = json.loads(done.out)
    other = Dataset.load(tmp_path / "data" / "phantom-ixi-t1")
    assert record["digests"]["unlabelled"] == other.file.bench.content_sha256
    assert record["budget"]["labelled_cases"] == 2

    # A file for the model is one image, as in the dataset; the channels left out are not asked for.
    folder = next((tmp_path / "runs").rglob("record.json")).parent
    (case,) = {score["case"] for score in record["cases"]}
    file = tmp_path / "RAW/mrbrains13/MRBrainS13DataNii/TrainingData" / case.removeprefix("training-") / "T1.nii"
    assert bench("predict", folder / "model", file, "--out", "out", "--device", "cpu").code == 0
    made, expected = read_label(tmp_path / "out/T1.nii.gz"), read_label(folder / f"predictions/{case}.nii.gz")
    assert np.array_equal(turned(made, "RAS").array, expected.array) and len(np.unique(made.array)) > 1


def test_with_more_channels_the_error_says_which_to_keep(raw, bench, tmp_path):
    for source, name in (("mrbrains13", "mrbrains13-tissue"), ("ixi", "ixi-t1")):
        assert bench("convert", source, raw / source, tmp_path, "--only", name).code == 0
    pair = ("phantom-mrbrains13-tissue", "phantom-ixi-t1")
    for one, other in (pair, pair[::-1]):
        done = bench("view", one, "--data", tmp_path, "--unlabelled", other, "--out", tmp_path / "view")
        assert done.code == 3
        assert "take phantom-mrbrains13-tissue converted with --channels t1, which both have, or leave" in done.err
    assert not (tmp_path / "view").exists()


def test_t1_in_the_slices_of_t2_runs_as_the_others_do(raw, bench, tmp_path):
    words = ("convert", "ixi", raw / "ixi", tmp_path, "--join", "ixi-t2,ixi-t1", "--channels", "t1")
    assert bench(*words).code == 0
    assert bench("convert", "mrbrains13", raw / "mrbrains13", tmp_path, "--channels", "t1").code == 0
    words = ("phantom-mrbrains13-tissue-t1", "--data", tmp_path, "--out", tmp_path / "view")
    assert bench("view", *words, "--unlabelled", "phantom-ixi-t2-t1-t1").code == 0
    seen = Dataset.load(tmp_path / "view")
    assert {case.geometry.slice_axis for case in seen.cases} == {2}
    assert not [told for told in protocols.notices(seen) if "turned" in told]
