"""The data card is made once, and made again where it was changed; a view has none."""

import json
from pathlib import Path

import msgspec
import nibabel as nib
import pytest
from acdc_tree import acdc_tree, frame
from contents import tree
from tiny import tiny_dataset

from bench import protocols, splits
from bench.views import view
from converters import casecard
from converters.convert import convert
from converters.datasheet import refresh, remake
from converters.errors import BenchError
from converters.files import write_json


def stamps(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("end", [".png", ".json"])
@pytest.mark.parametrize("spoil", ["gone", "changed", "of another case"])
def test_a_case_whose_card_is_missing_or_changed_is_made_again_and_no_other(tmp_path, end, spoil):
    raw = acdc_tree(tmp_path / "raw")
    root = convert("acdc", raw, tmp_path / "data")[0].root
    before, path = tree(root), root / "card" / f"patient001-ed{end}"
    times = stamps(root)
    if spoil == "gone":
        path.unlink()
    elif spoil == "changed":
        path.write_bytes(path.read_bytes().replace(b"RV", b"LV") if end == ".json" else path.read_bytes() + b"x")
    else:
        path.write_bytes((root / "card" / f"patient002-ed{end}").read_bytes())
    (report,) = convert("acdc", raw, tmp_path / "data")
    assert (report.cases, report.unchanged) == (4, 3)
    assert tree(root) == before
    assert {name for name, time in stamps(root).items() if time != times[name]} == {f"card/patient001-ed{end}"}


def test_a_case_with_a_broken_source_and_no_picture_stays(tmp_path):
    raw = acdc_tree(tmp_path / "raw")
    root = convert("acdc", raw, tmp_path / "data")[0].root
    frame(raw, 1).write_bytes(b"")
    (root / "card" / "patient001-ed.png").unlink()
    (report,) = convert("acdc", raw, tmp_path / "data")
    assert (report.cases, len(report.failures)) == (4, 1)
    assert "3 of 4 cases, evenly chosen" in (root / "README.md").read_text()


def test_a_case_that_is_left_out_leaves_no_card(tmp_path):
    raw = acdc_tree(tmp_path / "raw", (1, 2, 3))
    frame(raw, 3).write_bytes(frame(raw, 1).read_bytes())
    root = convert("acdc", raw, tmp_path / "data")[0].root
    assert not [path for path in (root / "card").iterdir() if path.stem in ("patient001-ed", "patient003-ed")]
    assert len(list((root / "card").iterdir())) == 8


def test_a_second_conversion_writes_nothing_and_the_card_covers_the_default_split(tmp_path, bench):
    raw = acdc_tree(tmp_path / "raw", (1, 2, 3))
    assert bench("convert", "acdc", raw, tmp_path / "data").code == 0
    root = tmp_path / "data" / "acdc"
    page, before = (root / "README.md").read_text(), stamps(root)
    assert "Split `default` (2 training, 0 validation, 1 test subjects): no subject and no image on two" in page
    assert "splits/default.json" in (root / "croissant.json").read_text()
    assert bench("convert", "acdc", raw, tmp_path / "data").code == 0
    assert stamps(root) == before


def test_the_card_of_a_folder_can_be_made_anew(tmp_path, bench):
    raw = acdc_tree(tmp_path / "raw")
    root = convert("acdc", raw, tmp_path / "data")[0].root
    before, times = tree(root), stamps(root)
    assert bench("card", root).code == 0
    assert stamps(root) == times
    for path in [*(root / "card").iterdir(), root / "README.md", root / "croissant.json", root / "montage.png"]:
        path.unlink()
    told = bench("card", root, "--json")
    assert json.loads(told.out) == {"dataset": "acdc", "folder": str(root), "cases": 4}
    assert tree(root) == before


def test_a_card_is_not_made_of_other_voxels_than_the_sidecars_name(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 2)
    label = dataset.root / dataset.cases[0].label.file
    label.write_bytes((dataset.root / dataset.cases[1].label.file).read_bytes())
    with pytest.raises(BenchError, match="s00-ed: the files are not those its sidecar names"):
        remake(dataset.root)
    assert not (dataset.root / "README.md").exists()


@pytest.mark.parametrize("make", [refresh, remake])
def test_a_card_is_not_made_of_a_case_that_lacks_a_channel(tmp_path, make):
    dataset = tiny_dataset(tmp_path / "tiny", 1)
    write_json(dataset.root / "cases" / "s00-ed.json", msgspec.structs.replace(dataset.cases[0], images={}))
    with pytest.raises(BenchError, match="s00-ed: its channels are not the dataset's"):
        make(dataset.root)


def test_a_label_in_a_recompressed_file_is_written_again_so_that_digests_hold(tmp_path):
    raw = acdc_tree(tmp_path / "raw")
    root = convert("acdc", raw, tmp_path / "data")[0].root
    before, path = tree(root), root / "labelsTr" / "patient001-ed.nii.gz"
    nib.save(nib.load(path), path)
    convert("acdc", raw, tmp_path / "data")
    assert tree(root) == before


@pytest.mark.parametrize("name", ["full", "semi30", "scribble", "noisy"])
def test_a_view_holds_and_makes_no_card(tmp_path, name):
    dataset = tiny_dataset(tmp_path / "tiny", 6)
    remake(dataset.root)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "view")
    assert {path.parts[0] for path in map(Path, tree(seen.root))} == {"dataset.json", "cases", "labelsTr"}
    everything = b"".join(tree(seen.root).values())
    for case in dataset.cases:
        card, _ = casecard.read(dataset.root, case)
        told = [str(one.mean) for one in card.intensity["cine"].values()] + [card.sha256, card.picture, card.of]
        assert not [text for text in told if text.encode() in everything]
    for make in (refresh, remake):
        with pytest.raises(BenchError, match="a view has no card of its own"):
            make(seen.root)
    assert not (seen.root / "README.md").exists()
