"""BIDS and Croissant: names, tables, the way back; what BIDS has no place for is refused."""

import csv
import hashlib
import json

import msgspec
import nibabel as nib
import numpy as np
import pytest
from tiny import tiny_dataset

from bench import protocols, splits
from bench.views import view
from converters.dataset import Dataset
from converters.description import Channel, LabelInfo
from converters.errors import BenchError
from converters.export import export
from converters.exports.bids import _settings, _suffix
from converters.written import parts_of


def as_mr(dataset: Dataset, sequence: str = "T1", modality: str = "MR") -> Dataset:
    channel = Channel(name="cine", modality=modality, sequence=sequence)
    card = msgspec.structs.replace(dataset.file.bench, channels=(channel,))
    made = Dataset(dataset.root, msgspec.structs.replace(dataset.file, bench=card), dataset.cases)
    made.save()
    return made


def voxels(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def test_bids_gives_the_same_voxels_at_the_same_place_under_its_names(tmp_path):
    dataset = as_mr(tiny_dataset(tmp_path / "tiny", 3, scribbles=True))
    export("bids", dataset, tmp_path / "out")
    for case in dataset.cases:
        session = f"ses-{case.id[-2:]}"
        stem = f"sub-{case.subject}/{session}/anat/sub-{case.subject}_{session}"
        labels = tmp_path / "out/derivatives/labels"
        for part, path in (
            (case.images["cine"], tmp_path / "out" / f"{stem}_T1w.nii.gz"),
            (case.label, labels / f"{stem}_desc-expert_dseg.nii.gz"),
            (case.annotations["scribble-expert"], labels / f"{stem}_desc-setscribbleexpert_dseg.nii.gz"),
        ):
            (ours, at), (theirs, there) = voxels(dataset.path(part.file)), voxels(path)
            assert np.array_equal(ours, theirs) and np.array_equal(at, there)
        told = json.loads((labels / f"{stem}_desc-expert_dseg.json").read_bytes())
        assert told["Manual"] is True and told["Sources"] == [f"bids:raw:{stem}_T1w.nii.gz"]
    assert len(list((tmp_path / "out").rglob("*.nii.gz"))) == 18


def test_bids_tables_hold_codes_and_what_may_be_told_of_persons(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 4)
    meta = {"age_years": 41.0, "sex": "F", "group": "DCM", "height_cm": 171.0}
    cases = tuple(msgspec.structs.replace(c, meta=meta) if c.subject == "s00" else c for c in dataset.cases)
    labels = {"background": 0, "right": (1, 3), "wall": 2, "left": (3,)}
    info = {"wall": LabelInfo(colour="#ff0000")}
    file = msgspec.structs.replace(
        dataset.file, labels=labels, bench=msgspec.structs.replace(dataset.file.bench, label_info=info)
    )
    dataset = as_mr(Dataset(dataset.root, file, cases))
    splits.freeze_default(dataset)
    export("bids", dataset, tmp_path / "out", "default")
    with (tmp_path / "out" / "participants.tsv").open() as handle:
        rows = {row["participant_id"]: row for row in csv.DictReader(handle, delimiter="\t")}
    assert rows["sub-s00"] | {"split": ""} == {
        **{"participant_id": "sub-s00", "age": "41", "sex": "F", "group": "DCM", "split": ""},
    }
    assert rows["sub-s01"]["sex"] == "n/a"
    assert sorted(row["split"] for row in rows.values()) == ["test", "training", "training", "training"]
    with (tmp_path / "out/derivatives/labels/desc-expert_dseg.tsv").open() as handle:
        found = {row["index"]: (row["name"], row["color"]) for row in csv.DictReader(handle, delimiter="\t")}
    assert found == {
        "0": ("background", "n/a"),
        "1": ("right", "n/a"),
        "2": ("wall", "#ff0000"),
        "3": ("left and right", "n/a"),
        "255": ("not annotated", "n/a"),
    }


@pytest.mark.parametrize(
    ("name", "sequence", "suffix"),
    [
        ("t1", "", "T1w"),
        ("ir", "T1 inversion recovery", "T1w"),
        ("flair", "T2 FLAIR", "FLAIR"),
        ("t1gd", "", "T1w"),
        ("t2", "T2 SPIR", "T2w"),
        ("pd", "proton density", "PDw"),
        ("mra", "time of flight", "angio"),
        ("t2s", "T2* gradient echo", "T2starw"),
    ],
)
def test_a_channel_has_the_suffix_of_its_contrast(tmp_path, name, sequence, suffix):
    assert _suffix(Channel(name=name, modality="MR", sequence=sequence), tmp_path) == suffix


@pytest.mark.parametrize(
    ("modality", "sequence", "told"),
    [
        ("CT", "portal venous phase", "BIDS has no datatype for CT"),
        ("DX", "digitised film", "BIDS has no datatype for DX"),
        ("MR", "cine bSSFP", r"BIDS has no suffix for channel cine \(cine bSSFP\)"),
        ("MR", "T2 diffusion-weighted", "BIDS has no suffix"),
    ],
)
def test_what_bids_has_no_place_for_is_refused_with_the_reason(tmp_path, modality, sequence, told):
    dataset = as_mr(tiny_dataset(tmp_path / "tiny", 1), sequence, modality)
    with pytest.raises(BenchError, match=told):
        export("bids", dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ids_that_are_one_in_letters_and_digits_are_refused(tmp_path):
    dataset = as_mr(tiny_dataset(tmp_path / "tiny", 2))
    cases = tuple(msgspec.structs.replace(c, subject="s0-0") if c.subject == "s01" else c for c in dataset.cases)
    with pytest.raises(BenchError, match="two ids are the same in letters and digits"):
        export("bids", Dataset(dataset.root, dataset.file, cases), tmp_path / "out")


def test_times_are_in_seconds():
    settings = {"EchoTime": 4.6, "RepetitionTime": 110.0, "FlipAngle": 80.0, "KVP": 120.0, "Manufacturer": "GE"}
    wanted = {"EchoTime": 0.0046, "RepetitionTime": 0.11, "FlipAngle": 80.0, "Manufacturer": "GE"}
    assert _settings(settings) == wanted


@pytest.mark.parametrize("to", ["bids", "croissant"])
def test_a_view_is_exported_with_what_it_shows_and_nothing_of_the_rest(tmp_path, to):
    dataset = as_mr(tiny_dataset(tmp_path / "tiny", 6, scribbles=True))
    seen = view(dataset, splits.freeze_default(dataset), protocols.parse("semi30"), 0, tmp_path / "view")
    export(to, seen, tmp_path / "out")
    labels = [path for path in (tmp_path / "out").rglob("*.nii.gz") if "dseg" in path.name or "labels" in str(path)]
    assert len(labels) == sum(case.label is not None for case in seen.cases) == 2 * 2
    everything = b"".join(
        path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.suffix in (".json", ".tsv", ".md")
    )
    hidden = set(dataset.subjects) - set(seen.subjects)
    assert hidden and not [subject for subject in hidden if subject.encode() in everything]
    assert b"scribble" not in everything and b"../" not in everything.replace(b'"../.."', b"")


def test_croissant_export_holds_every_file_with_its_digest_and_the_sides(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 5, scribbles=True)
    split = splits.freeze_default(dataset)
    export("croissant", dataset, tmp_path / "out", "default")
    told = json.loads((tmp_path / "out" / "croissant.json").read_bytes())
    objects = {one["@id"]: one["sha256"] for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    assert set(objects) == {part.file for case in dataset.cases for part in parts_of(case)}
    for name, digest in objects.items():
        data = (tmp_path / "out" / name).read_bytes()
        assert digest == hashlib.sha256(data).hexdigest()
        assert data == (dataset.root / name).read_bytes()
    sides = {row["cases/subject"]: row["cases/side"] for row in told["recordSet"][1]["data"]}
    assert {subject for subject, side in sides.items() if side == "test"} == set(split.test)
    assert {subject for subject, side in sides.items() if side == "training"} == set(split.train)
