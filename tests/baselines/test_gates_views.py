"""What a protocol hides changes nothing, for every method, through all stages of a training."""

import shutil

import gates
import pytest
from tiny import EXPERT
from views import call_noisy, hide, strokes, weights

from baselines import method as contract
from baselines.config import NetConfig
from baselines.train import Setting, train
from converters.volume import Volume, read_label, write_nifti


@pytest.fixture(scope="module")
def poisoned(whole, tmp_path_factory):
    """The same cases, with other labels in the files of all but the first two subjects; the strokes are kept."""
    copy = shutil.copytree(whole.root, tmp_path_factory.mktemp("poisoned") / "data")
    found = type(whole).load(copy)
    for case in found.cases:
        if case.subject not in whole.subjects[:2]:
            label = read_label(copy / case.label.file)
            write_nifti(copy / case.label.file, Volume((3 - label.array).astype("uint8"), label.affine))
    return found


def shown(dataset, kind):
    """Two subjects are annotated, the second one badly for a method that is made for that; or all, with strokes."""
    if kind == "scribble":
        return strokes(dataset, EXPERT)
    first, second = dataset.subjects[:2]
    view = hide(dataset, (first, second))
    return call_noisy(view, (second,)) if kind == "noisy" else view


@pytest.mark.parametrize("name", contract.names())
def test_garbage_in_hidden_labels_changes_no_weight(name, whole, poisoned, small, tmp_path):
    cls = contract.find(name)
    net = NetConfig(**{"widths": (4, 8), "dropout": (0.0, 0.0), **gates.levels(cls)})
    config = small(method=name, net=net, steps=2 * len(cls.stages), checkpoint_every=100)
    for folder, dataset in (("clean", whole), ("dirty", poisoned)):
        train(shown(dataset, gates.kind(cls)), config, tmp_path / folder, Setting())
    assert weights(tmp_path / "clean") == weights(tmp_path / "dirty")


def test_the_garbage_is_garbage(whole, poisoned, small, tmp_path):
    for folder, dataset in (("clean", whole), ("dirty", poisoned)):
        train(dataset, small(), tmp_path / folder, Setting())
    assert weights(tmp_path / "clean") != weights(tmp_path / "dirty")
