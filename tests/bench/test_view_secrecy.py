import hashlib
import json
import shutil

import numpy as np
import pytest
from contents import labels, tree
from tiny import EXPERT, tiny_dataset

from bench import protocols, splits
from bench.views import view
from converters.dataset import Dataset
from converters.volume import Volume, read_label, write_nifti

ALL = ("full", "semi10", "semi40", "scribble", "noisy", "scribble4", "clicks1", "boxes", "slices2", "classes1")


@pytest.mark.fault(59)
@pytest.mark.parametrize("name", ALL)
def test_no_byte_of_a_view_leads_to_a_hidden_label(made, tmp_path, name):
    dataset, split = made
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "runs" / "view")
    everything = b"\n".join(tree(seen.root).values()) + "\n".join(tree(seen.root)).encode()
    shown = {c.label.data_sha256 for c in seen.cases if c.label is not None}
    for case in dataset.cases:
        visible = case.subject in seen.subjects and seen.case(case.id).label is not None
        told = [case.native_id, case.sources[0].path, case.sources[0].sha256, case.warnings[0], "volume_ml"]
        told += [f"annotations/{EXPERT}/{case.id}", f"tiny/labelsTr/{case.id}"]
        told += [] if case.label.data_sha256 in shown else [case.label.data_sha256]
        told += [] if visible else [f"labelsTr/{case.id}", json.dumps(case.label.voxels)]
        if case.annotations[EXPERT].data_sha256 not in shown:
            told.append(case.annotations[EXPERT].data_sha256)
        for text in told:
            assert text.encode() not in everything, f"{text} of {case.id}"
        file = dataset.path(case.label.file)
        if case.label.data_sha256 not in shown:
            assert hashlib.sha256(file.read_bytes()).hexdigest() not in {
                hashlib.sha256(data).hexdigest() for data in tree(seen.root).values()
            }
    for case in dataset.only((*split.val, *split.test)).cases:
        assert case.id.encode() not in everything
    card = json.loads((seen.root / "dataset.json").read_bytes())["bench"]
    assert card["warnings"] == card["annotation_sets"] == []
    assert card["source"]["sha256"] == ""


@pytest.mark.fault(59)
@pytest.mark.parametrize("name", ["semi10", "scribble"])
def test_a_view_lives_on_when_every_label_of_its_dataset_is_gone(tmp_path, name):
    dataset = tiny_dataset(tmp_path / "tiny", 6, scribbles=True)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "view")
    before = tree(seen.root)
    shutil.rmtree(dataset.root / "labelsTr")
    shutil.rmtree(dataset.root / "annotations")
    again = Dataset.load(seen.root)
    assert tree(again.root) == before
    assert labels(again).keys() == labels(seen).keys()
    assert all(again.path(image.file).is_file() for case in again.cases for image in case.images.values())
    # A finished view is given back without a look at the parent's labels.
    assert view(dataset, split, protocols.parse(name), 0, seen.root).cases == seen.cases


@pytest.mark.fault(59)
def test_garbage_in_hidden_labels_changes_no_label_of_the_view(tmp_path):
    views = []
    for name in ("clean", "poisoned"):
        dataset = tiny_dataset(tmp_path / name / "tiny", 10)
        split = splits.freeze_default(dataset)
        if name == "poisoned":
            hidden = set(dataset.subjects) - set(splits.labelled(split, 30, 0))
            for case in dataset.only(tuple(hidden)).cases:
                path = dataset.path(case.label.file)
                old = read_label(path)
                write_nifti(path, Volume(np.full_like(old.array, 3), old.affine))
        views.append(tree(view(dataset, split, protocols.parse("semi30"), 0, tmp_path / name / "view").root))
    assert views[0] == views[1]
