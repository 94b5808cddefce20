import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tiny import EXPERT, SPACING, affine, tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.dataset import Dataset, Split
from converters.errors import BenchError
from converters.files import canonical_json, safe_id, write_json
from converters.volume import Volume, data_sha256, read_nifti, write_nifti

CASE = "s00-ed"
SIDECAR = f"cases/{CASE}.json"
IMAGE, LABEL = f"imagesTr/{CASE}_0000.nii.gz", f"labelsTr/{CASE}.nii.gz"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    made = tiny_dataset(tmp_path / "tiny", 3, shape=(10, 9, 3), scribbles=True)
    freeze_default(made)
    return made


def edited(file: str, change: Callable[[Any], object]) -> Callable[[Path], object]:
    """A change of a JSON file's value."""

    def apply(root: Path) -> None:
        value = json.loads((root / file).read_text())
        change(value)
        (root / file).write_bytes(canonical_json(value))

    return apply


def put(
    file: str, array: np.ndarray, matrix: np.ndarray | None = None, *, hashed: bool = True
) -> Callable[[Path], object]:
    """Another volume in place of a file, with the sidecar's hash made to fit."""

    def apply(root: Path) -> None:
        volume = Volume(array, affine() if matrix is None else matrix)
        write_nifti(root / file, volume)
        if hashed:
            value = json.loads((root / SIDECAR).read_text())
            part = value["images"]["cine"] if file == IMAGE else value["label"]
            part["data_sha256"] = data_sha256(volume)
            (root / SIDECAR).write_bytes(canonical_json(value))

    return apply


def label_with(value: int) -> np.ndarray:
    array = np.zeros((10, 9, 3), np.uint8)
    array[0, 0, 0] = value
    return array


def shifted(mm: float) -> np.ndarray:
    matrix = affine()
    matrix[1, 3] += mm
    return matrix


def rename_case(root: Path) -> None:
    """A case id that climbs out of the folder."""
    edited(SIDECAR, lambda case: case.update(id="../../etc/x"))(root)


def no_image(value: dict[str, Any]) -> None:
    value["images"]["cine"]["file"] = "../../../etc/passwd"


def ignored(value: dict[str, Any]) -> None:
    value["labels"] = {"background": 0, "ignore": 1, "right": 2, "left": 3}
    value["bench"]["label_info"] = {}


PROBLEMS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no dataset.json": (lambda r: (r / "dataset.json").unlink(), "there is no dataset.json"),
    "a key is missing": (
        edited("dataset.json", lambda v: v.pop("licence")),
        "dataset.json, line 1: file: the key 'licence'",
    ),
    "a key is unknown": (edited("dataset.json", lambda v: v.update(licens=1)), "licens: there is no such key"),
    "bad JSON": (lambda r: (r / "dataset.json").write_text("{\n\n,"), "dataset.json, line 3: JSON is malformed"),
    "a byte order mark": (
        lambda r: (r / SIDECAR).write_bytes(b"\xef\xbb\xbf" + (r / SIDECAR).read_bytes()),
        f"{SIDECAR}, line 1: it starts with a byte order mark",
    ),
    "a newer format": (edited("dataset.json", lambda v: v["bench"].update(format=99)), "format 99 is newer"),
    "voxels were changed": (
        put(LABEL, label_with(1), hashed=False),
        f"{LABEL} does not hold the voxels its sidecar names",
    ),
    "a scribble was changed": (
        lambda r: write_nifti(r / f"annotations/{EXPERT}/{CASE}.nii.gz", Volume(label_with(1), affine())),
        f"annotations/{EXPERT}/{CASE}.nii.gz does not hold the voxels",
    ),
    "the hash was changed": (
        edited(SIDECAR, lambda v: v["images"]["cine"].update(data_sha256="0" * 64)),
        "content_sha256 is not that of the sidecars",
    ),
    "numTraining": (
        edited("dataset.json", lambda v: v.update(numTraining=4)),
        "numTraining is 4, but 6 labelled cases",
    ),
    "an orphan image": (
        lambda r: (r / "imagesTr/x_0000.nii.gz").write_bytes(b""),
        "imagesTr/x_0000.nii.gz belongs to no case",
    ),
    "an orphan label": (lambda r: (r / "labelsTr/x.nii.gz").write_bytes(b""), "labelsTr/x.nii.gz belongs to no case"),
    "an orphan scribble": (
        lambda r: (r / f"annotations/{EXPERT}/x.nii.gz").write_bytes(b""),
        "x.nii.gz belongs to no case",
    ),
    "a missing image": (lambda r: (r / IMAGE).unlink(), f"case {CASE}: {IMAGE} is missing"),
    "a folder for an image": (
        edited(SIDECAR, lambda v: v["images"]["cine"].update(file="imagesTr")),
        "imagesTr cannot be read: Is a directory",
    ),
    "an affine with a short row": (
        edited(SIDECAR, lambda v: v["geometry"]["affine"][2].pop()),
        "the sidecar's affine is not 4 x 4",
    ),
    "a missing label": (lambda r: (r / LABEL).unlink(), f"case {CASE}: {LABEL} is missing"),
    "a damaged image": (lambda r: (r / IMAGE).write_bytes((r / IMAGE).read_bytes()[:300]), f"{IMAGE}: .* cut off"),
    "a missing sidecar": (lambda r: (r / SIDECAR).unlink(), f"{IMAGE} belongs to no case"),
    "an id that is a path": (rename_case, r"'../../etc/x' cannot be a case id"),
    "a subject that is a path": (edited(SIDECAR, lambda v: v.update(subject="a/b")), "'a/b' cannot be a subject id"),
    "an id of another case": (edited(SIDECAR, lambda v: v.update(id="s09-ed")), "describes case 's09-ed'"),
    "an image outside": (edited(SIDECAR, no_image), "leads out of its folder"),
    "an image of another name": (
        edited(SIDECAR, lambda v: v["images"]["cine"].update(file="imagesTr/s01-ed_0000.nii.gz")),
        f"channel cine is no images\\*/{CASE}_0000.nii.gz",
    ),
    "another channel": (edited(SIDECAR, lambda v: v.update(images={"t2": v["images"]["cine"]})), r"channels \['t2'\]"),
    "channel names": (edited("dataset.json", lambda v: v.update(channel_names={"0": "t1"})), "channel_names .* differ"),
    "a gap in the codes": (
        edited("dataset.json", lambda v: v["labels"].update(left=4)),
        r"\[0, 1, 2, 4\] are not consecutive",
    ),
    "no background": (edited("dataset.json", lambda v: v["labels"].pop("background")), "labels need 'background': 0"),
    "ignore in the middle": (edited("dataset.json", ignored), "'ignore' is 1; it must be the highest code, 3"),
    "label value outside": (put(LABEL, label_with(9)), f"{LABEL}: values 9 are no labels of the dataset"),
    "counts": (put(LABEL, label_with(2)), f"{LABEL}: voxels per value are"),
    "label 2 mm off": (put(LABEL, label_with(1), shifted(2.0)), f"{LABEL}: it lies 2 mm off the grid"),
    "label of another size": (
        put(LABEL, np.zeros((10, 9, 2), np.uint8)),
        r"\(10, 9, 2\) voxels; the case has \(10, 9, 3\)",
    ),
    "another orientation": (
        put(IMAGE, np.zeros((10, 9, 3), np.int16), np.diag([-SPACING[0], *SPACING[1:], 1.0])),
        "its axes are LAS, not RAS",
    ),
    "another spacing": (put(IMAGE, np.zeros((10, 9, 3), np.int16), np.diag([2.0, *SPACING[1:], 1.0])), "spacing"),
    "NaN": (put(IMAGE, np.full((10, 9, 3), np.nan, np.float32)), f"{IMAGE}: .* are NaN"),
    "no label, in imagesTr": (edited(SIDECAR, lambda v: v.update(label=None)), "it stands in imagesTr without a label"),
    "an undeclared set": (
        edited("dataset.json", lambda v: v["bench"].update(annotation_sets=[])),
        "is not in dataset.json",
    ),
    "a subject on two sides": (
        edited("splits/default.json", lambda v: v["val"].append(v["train"][0])),
        "in train and in val",
    ),
    "a subject in train and test": (
        edited("splits/default.json", lambda v: v["test"].append(v["train"][0])),
        "in train and in test",
    ),
    "a strange subject": (
        edited("splits/default.json", lambda v: v["val"].append("s99")),
        "subjects that are not here: s99",
    ),
    "a split of other content": (
        edited("splits/default.json", lambda v: v.update(content_sha256="f" * 64)),
        "was made for content ffffffffffff, this is",
    ),
    "a broken split": (
        edited("splits/default.json", lambda v: v.pop("val")),
        "splits/default.json, line 1: file: the key 'val'",
    ),
}


def test_a_sound_dataset_has_no_problem(dataset: Dataset) -> None:
    assert check(dataset.root) == []


@pytest.mark.fault(46, 47, 48, 49, 51, 54, 56)
@pytest.mark.parametrize(("spoil", "told"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_told_in_a_sentence(dataset: Dataset, spoil: Callable[[Path], object], told: str) -> None:
    spoil(dataset.root)
    found = "\n".join(check(dataset.root))
    with pytest.raises(BenchError, match=told):
        raise BenchError(found)


@pytest.mark.fault(46, 48)
def test_all_problems_are_told_at_once(dataset: Dataset) -> None:
    for name in ("a missing image", "numTraining", "an orphan label", "a subject on two sides", "label value outside"):
        PROBLEMS[name][0](dataset.root)
    found = "\n".join(check(dataset.root))
    assert all(
        part in found for part in (f"{IMAGE} is missing", "numTraining is 4", "x.nii.gz belongs", "in val", "values 9")
    )


def twins(dataset: Dataset) -> Dataset:
    """The second subject gets the images of the first."""
    by_id = {case.id: case for case in dataset.cases}
    cases = []
    for case in dataset.cases:
        if case.subject == "s01":
            other = by_id[case.id.replace("s01", "s00")].images["cine"]
            write_nifti(dataset.root / case.images["cine"].file, read_nifti(dataset.root / other.file))
            case = msgspec.structs.replace(  # noqa: PLW2901
                case, images={"cine": msgspec.structs.replace(other, file=case.images["cine"].file)}
            )
        cases.append(case)
    return with_card(Dataset(dataset.root, dataset.file, tuple(cases)))


def with_card(dataset: Dataset, **changes: object) -> Dataset:
    card = msgspec.structs.replace(dataset.file.bench, content_sha256=dataset.content_sha256(), **changes)
    made = Dataset(dataset.root, msgspec.structs.replace(dataset.file, bench=card), dataset.cases)
    made.save()
    return made


@pytest.mark.fault(55)
def test_the_same_voxels_under_two_ids_are_a_problem_unless_declared(dataset: Dataset) -> None:
    (dataset.root / "splits" / "default.json").unlink()
    made = twins(dataset)
    assert check(dataset.root) == [
        "cases s00-ed, s01-ed hold the same voxels",
        "cases s00-es, s01-es hold the same voxels",
    ]
    made = with_card(made, copies=(("s00", "s01"),))
    assert check(dataset.root) == []
    for test, problems in (("s01", 1), ("s02", 0)):
        split = Split(
            name="mine",
            dataset="tiny",
            content_sha256=made.file.bench.content_sha256,
            train=tuple(s for s in made.subjects if s != test),
            val=(),
            test=(test,),
        )
        write_json(dataset.root / "splits" / "mine.json", split)
        assert len(check(dataset.root)) == problems


def test_a_view_is_checked_with_the_images_of_its_dataset(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "view"
    view(dataset, dataset.split("default"), parse("full"), 0, out)
    assert check(out) == []
    (dataset.root / "dataset.json").write_bytes(
        canonical_json(json.loads((dataset.root / "dataset.json").read_text()) | {"name": "other"})
    )
    assert "its images lie in other with content" in check(out)[0]
    (dataset.root / "dataset.json").unlink()
    assert check(out) == ["the dataset 'tiny' that this view was made from is gone"]


@pytest.mark.fault(49)
@pytest.mark.parametrize(
    "name", ["../../etc/x", "a/b", "CON", ".hidden", "x" * 300, "é", "", "-a", "a.b", "nul", "a\n"]
)
def test_what_could_leave_the_folder_is_no_id(name: str) -> None:
    with pytest.raises(BenchError, match="cannot be a case id"):
        safe_id(name)


@pytest.mark.fault(47)
def test_checking_writes_nothing(dataset: Dataset) -> None:
    before = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*")}
    (dataset.root / LABEL).write_bytes(b"")
    changed = dataset.root / LABEL
    assert check(dataset.root) != []
    after = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*")}
    assert {path for path in before if before[path] != after[path]} <= {changed}
    assert before.keys() == after.keys()
