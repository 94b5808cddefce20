"""There and back: what an export holds is what the dataset held, voxel for voxel and where it lies."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny import tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.export import export
from converters.phantoms import acdc, chaos, msd, nnunet

BACK = ("nnunet", "msd")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """CHAOS T1 (two channels, oblique axes), ACDC with a scribble view of it, and regions with 255 among them."""
    room = tmp_path_factory.mktemp("made")
    chaos.write(room / "chaos", 2, 0)
    acdc.write(room / "acdc", 3, 0)
    nnunet.write(room / "nnunet", 3, 0)
    reports = [report for name in ("chaos", "acdc", "nnunet") for report in convert(name, room / name, room / "data")]
    found = {report.name.removeprefix("phantom-"): Dataset.load(report.root) for report in reports}
    split = freeze_default(found["acdc"])
    found["scribble"] = view(found["acdc"], split, parse("scribble"), 0, room / "views" / "scribble")
    return found


def there_and_back(to: str, dataset: Dataset, room: Path, split: str | None = None) -> Dataset:
    export(to, dataset, room / "there", split)
    (report,) = convert(to, room / "there", room / "back")
    assert report.failures == []
    assert check(report.root) == []
    return Dataset.load(report.root)


@pytest.mark.parametrize("to", BACK)
@pytest.mark.parametrize("name", ["chaos-mr-t1", "chaos-ct", "acdc", "scribble", "strokes", "nested"])
def test_voxels_geometry_and_people_come_back(made, tmp_path, to, name):
    ours = made[name]
    back = there_and_back(to, ours, tmp_path)
    assert back.content_sha256() == ours.content_sha256()
    assert [case.geometry.affine for case in back.cases] == [case.geometry.affine for case in ours.cases]
    assert [case.geometry.slice_axis for case in back.cases] == [case.geometry.slice_axis for case in ours.cases]
    assert [case.subject for case in back.cases] == [case.subject for case in ours.cases]
    assert [case.meta for case in back.cases] == [case.meta for case in ours.cases]
    assert back.file.labels == ours.file.labels
    assert back.file.bench.channels == ours.file.bench.channels
    assert (back.file.licence, back.file.bench.citation) == (ours.file.licence, ours.file.bench.citation)
    assert back.name.startswith("phantom-")


@pytest.mark.parametrize("to", BACK)
def test_the_sides_of_a_split_come_back(tmp_path, to):
    ours = tiny_dataset(tmp_path / "tiny", 10)
    split = freeze_default(ours)
    back = there_and_back(to, ours, tmp_path, "default")
    theirs = back.split("nnunet-fold0" if to == "nnunet" else "msd")
    for side in ("train", "val", "test"):
        assert set(getattr(theirs, side)) == set(getattr(split, side))


def test_what_a_view_hides_is_in_no_file_of_its_export(made, tmp_path):
    shown = made["scribble"]
    for to in BACK:
        export(to, shown, tmp_path / to)
        text = (tmp_path / to / "dataset.json").read_text()
        hidden = {case.label.data_sha256 for case in made["acdc"].cases if case.label}
        assert not [word for word in (*hidden, str(shown.root), "Group", "group") if word in text]
    back = there_and_back("nnunet", shown, tmp_path)
    assert any("no reference" in warning for warning in back.file.bench.warnings)


def test_several_channels_are_one_file_of_four_axes(made, tmp_path):
    ours = made["chaos-mr-t1"]
    export("msd", ours, tmp_path / "Task01_t1")
    told = json.loads((tmp_path / "Task01_t1" / "dataset.json").read_text())
    assert (told["tensorImageSize"], told["modality"]) == ("4D", {"0": "in-phase", "1": "out-phase"})
    for case in ours.cases:
        theirs = np.asarray(nib.load(tmp_path / "Task01_t1" / "imagesTr" / f"{case.id}.nii.gz").dataobj)
        for number, image in enumerate(case.images.values()):
            np.testing.assert_array_equal(theirs[..., number], nib.load(ours.root / image.file).dataobj)


def test_channels_of_two_types_share_one_that_holds_both(tmp_path):
    rng, raw = np.random.default_rng(0), tmp_path / "raw"
    (raw / "imagesTr").mkdir(parents=True)
    arrays = (rng.integers(-900, 900, (5, 4, 3)).astype(np.int16), rng.integers(0, 65535, (5, 4, 3)).astype(np.uint16))
    for number, array in enumerate(arrays):
        nib.save(nib.Nifti1Image(array, np.eye(4)), raw / "imagesTr" / f"a_{number:04d}.nii.gz")
    described = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "spot": 1}, "numTraining": 1}
    (raw / "dataset.json").write_text(json.dumps({**described, "file_ending": ".nii.gz", "name": "mixed"}))
    (report,) = convert("nnunet", raw, tmp_path / "data")
    mixed = Dataset.load(report.root)
    assert [image.dtype for image in mixed.cases[0].images.values()] == ["int16", "uint16"]
    export("msd", mixed, tmp_path / "Task01_mixed")
    theirs = np.asarray(nib.load(tmp_path / "Task01_mixed" / "imagesUn" / "a.nii.gz").dataobj)
    assert theirs.dtype == np.float32
    np.testing.assert_array_equal(theirs, np.stack(arrays, axis=-1))


def test_an_overlap_has_a_name_of_its_own_where_there_are_no_regions(made, tmp_path):
    export("msd", made["nested"], tmp_path / "Task01_nested")
    told = json.loads((tmp_path / "Task01_nested" / "dataset.json").read_text())
    assert told["labels"] == {"0": "background", "1": "whole", "2": "inside+whole", "3": "inside+spot+whole"}


def test_a_task_of_the_decathlon_keeps_its_name(tmp_path):
    msd.write(tmp_path / "raw", 2, 0)
    ours = Dataset.load(convert("msd", tmp_path / "raw", tmp_path / "data")[0].root)
    assert there_and_back("msd", ours, tmp_path).name == ours.name
