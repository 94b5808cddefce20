"""PyMIC and SSL4MIS: what their loaders read is what the dataset holds."""

import builtins
import csv
import dataclasses
import json

import msgspec
import numpy as np
import pytest
from contents import tree
from tiny import LABELS, affine, tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.dataset import IGNORE, Dataset
from converters.description import Channel
from converters.errors import BenchError, EnvironmentFault
from converters.export import export, find
from converters.slices import scaled, stacked, unstacked
from converters.volume import Volume, data_sha256, read_label, read_nifti, write_nifti

h5py = pytest.importorskip("h5py", reason="needs the extra [h5]")
CLASSES = len(LABELS)


@pytest.fixture(scope="module")
def hearts(tmp_path_factory) -> Dataset:
    dataset = tiny_dataset(tmp_path_factory.mktemp("tiny") / "data", 10, shape=(9, 8, 4), unlabelled=1, scribbles=True)
    freeze_default(dataset)
    return dataset


@pytest.fixture(scope="module")
def strokes(hearts, tmp_path_factory) -> Dataset:
    """A view with scribbles, and nothing for those of whom there is no label."""
    return view(hearts, hearts.split("default"), parse("scribble"), 0, tmp_path_factory.mktemp("views") / "strokes")


@pytest.fixture(scope="module")
def bellies(tmp_path_factory) -> Dataset:
    """Two channels."""
    root = tmp_path_factory.mktemp("two")
    dataset = tiny_dataset(root, 2, shape=(5, 4, 3))
    cases = []
    for case in dataset.cases:
        first = read_nifti(root / case.images["cine"].file)
        second = Volume(first.array + np.int16(1), first.affine)
        file = msgspec.structs.replace(
            case.images["cine"], file=f"imagesTr/{case.id}_0001.nii.gz", data_sha256=data_sha256(second)
        )
        write_nifti(root / file.file, second)
        cases.append(msgspec.structs.replace(case, images={**case.images, "late": file}))
    card = msgspec.structs.replace(
        dataset.file.bench, channels=(*dataset.file.bench.channels, Channel(name="late", modality="MR"))
    )
    return dataclasses.replace(dataset, cases=tuple(cases), file=msgspec.structs.replace(dataset.file, bench=card))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def ids(dataset, subjects):
    return [case.id for case in dataset.only(subjects).cases]


def test_pymic_gets_the_files_themselves_and_the_sides_of_the_split(hearts, tmp_path):
    export("pymic", hearts, tmp_path / "out", "default")
    split = hearts.split("default")
    lists = {name: rows(tmp_path / "out" / f"{name}.csv") for name in ("train", "train_unlab", "valid", "test")}
    stem = {name: [row["image"][7:-12] for row in found] for name, found in lists.items()}
    labelled = {case.id for case in hearts.cases if case.label is not None}
    train = ids(hearts, split.train)
    assert stem["train"] == [case for case in train if case in labelled]
    assert stem["train_unlab"] == [case for case in train if case not in labelled] == ["s09-ed", "s09-es"]
    assert stem["valid"] == ids(hearts, split.val) and stem["test"] == ids(hearts, split.test)
    assert list(lists["train"][0]) == ["image", "label"] and list(lists["test"][0]) == ["image"]
    for row in (*lists["train"], *lists["valid"]):
        case = hearts.case(row["image"][7:-12])
        assert data_sha256(read_nifti(tmp_path / "out" / row["image"])) == case.images["cine"].data_sha256
        assert data_sha256(read_label(tmp_path / "out" / row["label"])) == case.label.data_sha256
    pair = rows(tmp_path / "out" / "test_gt_seg.csv")[0]
    assert pair == {
        "ground_truth": f"labels/{stem['test'][0]}.nii.gz",
        "segmentation": f"{stem['test'][0]}_0000.nii.gz",
    }
    assert "class_num = 4\n" in (tmp_path / "out" / "pymic.cfg").read_text()


def test_pymic_reads_the_code_after_the_last_as_not_annotated(strokes, tmp_path):
    notices = export("pymic", strokes, tmp_path / "out")
    found = rows(tmp_path / "out" / "train.csv")
    assert found and len(found) < len(strokes.cases) == len(found) + len(rows(tmp_path / "out" / "train_unlab.csv"))
    for row in found:
        shown = read_label(strokes.path(strokes.case(row["image"][7:-12]).label.file)).array
        written = read_label(tmp_path / "out" / row["label"]).array
        assert (written[shown == IGNORE] == CLASSES).all() and (shown == IGNORE).any()
        assert (written[shown != IGNORE] == shown[shown != IGNORE]).all()
    assert "PartialLabelToProbability" in (tmp_path / "out" / "pymic.cfg").read_text()
    assert any("valid.csv is empty" in notice for notice in notices)


def test_pymic_has_a_column_for_every_channel_before_the_label(bellies, tmp_path):
    export("pymic", bellies, tmp_path / "out")
    row = rows(tmp_path / "out" / "train.csv")[0]
    assert list(row) == ["image_0", "image_1", "label"]
    case = bellies.case(row["label"][7:-7])
    for image, part in zip((row["image_0"], row["image_1"]), case.images.values(), strict=True):
        assert data_sha256(read_nifti(tmp_path / "out" / image)) == part.data_sha256


def h5(path):
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def lines(path):
    return path.read_text().split("\n")[:-1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_is_the_same_after_a_way_through_slices(axis):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    slices = stacked(array, axis)
    assert len(slices) == array.shape[axis]
    assert np.array_equal(slices[1].T, np.take(array, 1, axis))
    assert np.array_equal(unstacked(slices, axis), array)


def test_a_flat_image_is_scaled_to_nothing():
    assert scaled(np.full((2, 2, 2), 7, np.int16))[0].max() == 0


def test_ssl4mis_read_again_gives_the_voxels_of_the_dataset(hearts, tmp_path):
    export("ssl4mis", hearts, tmp_path / "out", "default")
    index = json.loads((tmp_path / "out" / "frugalseg.json").read_text())
    sides = {name: lines(tmp_path / "out" / f"{name}.list") for name in ("train", "val", "test")}
    assert sides["test"] == ids(hearts, hearts.split("default").test)
    assert sum(map(len, sides.values())) == len(hearts.cases)
    for name, about in index["cases"].items():
        case, found = hearts.case(name), h5(tmp_path / "out" / "data" / f"{name}.h5")
        assert (found["image"].dtype, found["image"].shape) == (np.float32, (4, 8, 9))
        low, high = about["intensities"]
        image = unstacked(found["image"], about["slice_axis"]).astype(np.float64) * (high - low) + low
        assert np.array_equal(np.rint(image), read_nifti(hearts.path(case.images["cine"].file)).array)
        assert np.array_equal(np.array(about["affine"]), affine())
        label = unstacked(found["label"], about["slice_axis"])
        expected = np.full((9, 8, 4), CLASSES) if case.label is None else read_label(hearts.path(case.label.file)).array
        assert np.array_equal(label, expected)
        assert "scribble" not in found, "somebody would train on dense labels and call it scribbles"


def test_ssl4mis_counts_off_the_patients_of_the_published_list(hearts, tmp_path):
    drawn = tuple(sorted(hearts.split("default").train, reverse=True))[:3]
    split = msgspec.structs.replace(hearts.split("default"), name="listed", draws={"theirs": drawn})
    find("ssl4mis").export(hearts, tmp_path / "out", split)
    names = lines(tmp_path / "out" / "train_slices.list")
    first = [case.id for subject in drawn for case in hearts.only((subject,)).cases if case.label is not None]
    assert lines(tmp_path / "out" / "train.list")[: len(first)] == first
    assert names[:5] == [*(f"{first[0]}_slice_{number}" for number in range(1, 5)), f"{first[1]}_slice_1"]
    assert len(names) == len(set(names)) == 4 * len(hearts.only(split.train).cases)


def test_ssl4mis_slices_are_those_of_the_volumes_labelled_ones_first(strokes, tmp_path):
    export("ssl4mis", strokes, tmp_path / "out")
    index = json.loads((tmp_path / "out" / "frugalseg.json").read_text())
    names = lines(tmp_path / "out" / "train_slices.list")
    assert len(names) == 4 * len(strokes.cases) == len(list((tmp_path / "out" / "data" / "slices").iterdir()))
    seen = [bool((h5(tmp_path / "out" / "data" / "slices" / f"{name}.h5")["label"] != CLASSES).any()) for name in names]
    labelled = [strokes.case(name.partition("_")[0]).label is not None for name in names]
    assert labelled == sorted(labelled, reverse=True) and sum(labelled) == index["labelled_slices"] > 0
    assert not any(seen[sum(labelled) :]) and any(seen)
    for name in names:
        case, _, number = name.partition("_slice_")
        assert set(h5(tmp_path / "out" / "data" / "slices" / f"{name}.h5")) == {"image", "label", "scribble"}
        volume = h5(tmp_path / "out" / "data" / f"{case}.h5")
        for key, array in h5(tmp_path / "out" / "data" / "slices" / f"{name}.h5").items():
            assert np.array_equal(array, volume[key][int(number) - 1])
    for case in strokes.cases:
        if case.label is not None:
            shown = read_label(strokes.path(case.label.file)).array
            label = unstacked(h5(tmp_path / "out" / "data" / f"{case.id}.h5")["label"], 2)
            assert np.array_equal(label, np.where(shown == IGNORE, CLASSES, shown))


def test_two_exports_are_the_same_bytes(strokes, tmp_path):
    for to in ("ssl4mis", "pymic"):
        export(to, strokes, tmp_path / to)
        export(to, strokes, tmp_path / "again" / to)
        assert tree(tmp_path / to) == tree(tmp_path / "again" / to)


def test_what_ssl4mis_cannot_read_is_refused(bellies, hearts, tmp_path, monkeypatch):
    with pytest.raises(BenchError, match="reads one channel; tiny has 2"):
        export("ssl4mis", bellies, tmp_path / "out")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "h5py":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentFault, match=r"pip install 'frugalseg\[h5\]'"):
        export("ssl4mis", hearts, tmp_path / "out")
    assert not list(tmp_path.iterdir())
