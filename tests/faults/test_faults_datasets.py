"""Faults of dataset folders, names and splits on the command line."""

import json
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from acdc_tree import acdc_tree, frame
from tiny import tiny_dataset
from worlds import contents, stamps

from bench.splits import freeze_default
from converters.dataset import Dataset
from converters.files import canonical_json
from converters.source import Info, Loaded, RawCase, find
from converters.volume import Volume


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A sound dataset of eight subjects in a folder of its own."""
    made = tiny_dataset(tmp_path / "data" / "tiny", 8, shape=(10, 9, 3))
    freeze_default(made)
    return made.root


def rewritten(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_bytes(canonical_json(value))


@pytest.mark.fault(46)
def test_every_fault_of_a_description_is_told_at_once_with_line_and_key(bench, data: Path) -> None:
    top = json.loads((data / "dataset.json").read_text())
    del top["labels"]
    top["numTraining"], top["bench"]["ndim"], top["colour"] = "eight", 7, "red"
    (data / "dataset.json").write_text(json.dumps(top, indent=2))
    done = bench("check", data)
    assert done.code == 3
    for told in ("the key 'labels' is missing", "numTraining: Expected `int`", "bench.ndim: ", "colour: there is no"):
        assert [line for line in done.out.splitlines() if line.startswith("dataset.json, line ") and told in line]


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, "byte order mark"),
        (lambda text: text.replace(b'"numTraining": 16', b'"numTraining": NaN'), "JSON is malformed"),
        (lambda text: text[:-20], "truncated"),
    ],
    ids=["mark", "nan", "cut"],
)
def test_what_is_no_json_is_refused_by_whoever_reads_it(bench, data: Path, tmp_path: Path, spoil, told: str) -> None:
    top = data / "dataset.json"
    top.write_bytes(spoil(top.read_bytes()))
    assert told in bench("check", data).out
    done = bench("view", data, "--protocol", "full", "--out", tmp_path / "view")
    assert done.code == 3 and "dataset.json" in done.err and "mend" in done.err
    assert not (tmp_path / "view").exists()


@pytest.mark.fault(47)
def test_a_changed_file_is_named_and_no_option_makes_its_digest_fit(bench, data: Path) -> None:
    label = data / "labelsTr" / "s00-ed.nii.gz"
    label.write_bytes((data / "labelsTr" / "s01-ed.nii.gz").read_bytes())
    before = stamps(data)
    done = bench("check", data)
    assert done.code == 3
    assert "labelsTr/s00-ed.nii.gz does not hold the voxels its sidecar names" in done.out
    assert bench("check", data, "--fix").code == 2
    assert "--fix" not in bench("check", "--help").out
    assert stamps(data) == before


@pytest.mark.fault(48)
def test_counts_and_orphans_are_told_by_name(bench, data: Path) -> None:
    rewritten(data / "dataset.json", lambda top: top.update(numTraining=3))
    for name in ("imagesTr/stray_0000.nii.gz", "labelsTr/stray.nii.gz"):
        (data / name).write_bytes(b"")
    done = bench("check", data)
    assert done.code == 3
    assert "numTraining is 3, but 16 labelled cases stand in imagesTr" in done.out
    assert "imagesTr/stray_0000.nii.gz belongs to no case" in done.out
    assert "labelsTr/stray.nii.gz belongs to no case" in done.out


NAMES = ["../../etc/x", "a/b", "CON", ".hidden", "x" * 300, "é", "..", "a\\b", "x\n", "-rf"]


@pytest.mark.fault(49)
@pytest.mark.parametrize("key", ["id", "subject"])
@pytest.mark.parametrize("name", NAMES)
def test_a_sidecar_with_a_name_that_leads_elsewhere_is_read_by_nobody(
    bench, data: Path, tmp_path: Path, name: str, key: str
) -> None:
    rewritten(data / "cases" / "s00-ed.json", lambda case: case.update({key: name}))
    before = contents(tmp_path)
    assert bench("check", data).code == 3
    for words in (
        ["view", data, "--protocol", "full", "--out", tmp_path / "view"],
        ["show", data, "--out", tmp_path / "p.png"],
    ):
        done = bench(*words)
        assert done.code in (2, 3), words
    assert contents(tmp_path) == before


def made_up(name: str) -> Loaded:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    grid = np.diag([1.0, 1, 1, 1])
    return Loaded({"cine": Volume(rng.integers(0, 99, (4, 4, 2)).astype(np.int16), grid)})


@pytest.fixture
def source_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """A source whose raw folder holds cases of these names."""

    def make(*names: str) -> Path:
        (tmp_path / "raw").mkdir()
        file = tmp_path / "raw" / "scan"
        file.write_bytes(b"scan")

        def cases(*_: object) -> Iterator[RawCase]:
            yield from (RawCase(name, f"s{n}", (file,), partial(made_up, name)) for n, name in enumerate(names))

        info = find("acdc").INFO[0]
        plain = Info(
            **{key: getattr(info, key) for key in ("name", "version", "licence", "citation", "source")},
            channels=info.channels,
            labels=info.labels,
            label_info=info.label_info,
        )
        module = SimpleNamespace(INFO=(plain,), cases=cases)
        monkeypatch.setitem(sys.modules, "converters.sources.acdc", module)
        return tmp_path / "raw"

    return make


@pytest.mark.fault(49)
@pytest.mark.parametrize("name", NAMES)
def test_a_native_name_that_leads_elsewhere_writes_nothing_there_and_the_others_convert(
    bench, source_of, tmp_path: Path, name: str
) -> None:
    raw = source_of("good", name, "fine")
    done = bench("convert", "acdc", raw, tmp_path / "data" / "inner", "--json")
    assert done.code == 3 and "cannot be a case id" in done.err and "rename it" in done.err
    assert json.loads(done.out)["cases"] == 2
    written = contents(tmp_path)
    assert {name.split("/")[0] for name in written} == {"raw", "data"}
    assert all(name.startswith(("raw/", "data/inner/acdc/")) for name in written)
    assert [case.id for case in Dataset.load(tmp_path / "data/inner/acdc").cases] == ["fine", "good"]


@pytest.mark.fault(50)
@pytest.mark.parametrize("pair", [("Anna", "anna"), ("lung_1", "LUNG-1")])
def test_two_names_that_a_folder_cannot_tell_apart_are_refused(bench, source_of, tmp_path: Path, pair) -> None:
    done = bench("convert", "acdc", source_of("other", *pair), tmp_path / "data")
    assert done.code == 3
    assert f"several cases would have one id: {pair[0]}, {pair[1]}" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.fault(51)
@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"background": 0, "ignore": 1, "right": 2, "left": 3}, "'ignore' is 1; it must be the highest code, 3"),
        ({"background": 0, "right": 1, "wall": 2, "ignore": 3}, "'ignore' is a class of the test labels"),
    ],
    ids=["not highest", "in test"],
)
def test_ignore_is_the_highest_code_and_no_class_of_the_test(bench, tmp_path: Path, labels, told: str) -> None:
    root = tiny_dataset(tmp_path / "tiny", 4, shape=(10, 9, 3), held_out=1).root
    rewritten(root / "dataset.json", lambda top: (top.update(labels=labels), top["bench"].update(label_info={})))
    done = bench("check", root)
    assert done.code == 3 and told in done.out


@pytest.mark.fault(54)
@pytest.mark.parametrize("side", ["val", "test"])
def test_a_subject_on_two_sides_is_named_by_whoever_reads_the_split(
    bench, data: Path, tmp_path: Path, side: str
) -> None:
    rewritten(data / "splits" / "default.json", lambda split: split[side].append(split["train"][0]))
    torn = json.loads((data / "splits" / "default.json").read_text())["train"][0]
    for words in (["check", data], ["view", data, "--protocol", "full", "--out", tmp_path / "view"]):
        done = bench(*words)
        assert done.code == 3 and f"{torn} in train and in {side}" in done.out + done.err
    assert not (tmp_path / "view").exists()


@pytest.mark.fault(55)
def test_the_same_voxels_under_two_ids_are_both_named_and_left_out(bench, tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1, 2, 3))
    frame(raw, 3).write_bytes(frame(raw, 1).read_bytes())
    done = bench("convert", "acdc", raw, tmp_path / "data", "--json")
    assert done.code == 3 and json.loads(done.out)["cases"] == 4
    assert "patient001-ed: the same voxels as patient003-ed" in done.err
    assert "patient003-ed: the same voxels as patient001-ed" in done.err
    assert bench("check", tmp_path / "data" / "acdc").code == 0


@pytest.mark.fault(56)
def test_a_split_of_other_voxels_is_refused_with_both_digests(bench, data: Path, tmp_path: Path) -> None:
    rewritten(data / "splits" / "default.json", lambda split: split.update(content_sha256="f" * 64))
    mine = json.loads((data / "dataset.json").read_text())["bench"]["content_sha256"][:12]
    for words in (["check", data], ["view", data, "--protocol", "full", "--out", tmp_path / "view"]):
        done = bench(*words)
        assert done.code == 3 and "ffffffffffff" in done.out + done.err and mine in done.out + done.err


@pytest.mark.fault(57)
def test_ten_percent_of_four_is_one_subject_and_the_real_share_is_told(bench, tmp_path: Path) -> None:
    dataset = tiny_dataset(tmp_path / "tiny", 6, shape=(10, 9, 3))
    assert len(freeze_default(dataset).train) == 4
    done = bench("view", dataset.root, "--protocol", "semi10", "--out", tmp_path / "view", "--json")
    assert done.code == 0
    assert "one labelled subject is the least, a real share of 25 %" in done.err
    card = json.loads((tmp_path / "view" / "dataset.json").read_text())["bench"]
    assert card["parent"]["protocol"]["real_percent"] == 25


@pytest.mark.fault(58)
def test_an_expert_asked_for_by_name_is_refused_with_the_sets_there_are(bench, data: Path, tmp_path: Path) -> None:
    words = ["view", data, "--protocol", "scribble", "--out", tmp_path / "view"]
    done = bench(*words, "--annotator", "expert")
    assert done.code == 3 and "tiny has no expert scribbles; annotation sets: none" in done.err
    assert not (tmp_path / "view").exists()
    plain = bench(*words)
    assert plain.code == 0 and "the scribbles are simulated" in plain.err
    card = json.loads((tmp_path / "view" / "dataset.json").read_text())["bench"]
    assert card["parent"]["protocol"]["annotator"] == "simulated scribble"
