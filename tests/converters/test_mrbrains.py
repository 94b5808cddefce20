"""MRBrainS13 and MRBrainS18: layouts, classes, what is excluded, what is refused. No real file can be had here."""

import gzip
import shutil
from collections import defaultdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from converters import mrbrains
from converters.check import check
from converters.convert import Report, convert
from converters.dataset import IGNORE, Dataset
from converters.phantoms import mrbrains13, mrbrains18
from converters.phantoms.mark import is_phantom
from converters.source import find
from converters.volume import Volume, read_label, read_nifti


def converted(source: str, raw: Path, out: Path) -> dict[str, Dataset]:
    reports = convert(source, raw, out)
    assert [failure for report in reports for failure in report.failures] == []
    return {report.name.removeprefix("phantom-"): Dataset.load(report.root) for report in reports}


def refused(reports: list[Report]) -> dict[str, list[str]]:
    return {report.name.removeprefix("phantom-"): [error.what for error in report.failures] for report in reports}


@pytest.fixture(scope="module")
def heads13(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("heads13")
    mrbrains13.write(root, 2, 0)
    return root


@pytest.fixture(scope="module")
def heads18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("heads18")
    mrbrains18.write(root, 2, 0)
    return root


def training(raw: Path, number: int) -> Path:
    return raw / "MRBrainS13DataNii" / "TrainingData" / str(number)


def save_like(path: Path, array: np.ndarray) -> None:
    """The array in place of the file's own, with its header."""
    image = nib.load(path)
    nib.save(nib.Nifti1Image(array, None, image.header), path)


@pytest.mark.parametrize("module", [mrbrains13, mrbrains18])
def test_every_probe_of_the_phantom_is_found_where_it_was_drawn(module, tmp_path: Path) -> None:
    source = module.__name__.rpartition(".")[2]
    module.write(tmp_path / "raw", 2, 5)
    datasets = converted(source, tmp_path / "raw", tmp_path / "data")
    wanted = defaultdict(list)
    for probe in module.truth(2, 5):
        wanted[probe.dataset, probe.case, probe.part].append(probe)
    assert {name for name, _, _ in wanted} == set(datasets)
    for (name, native, part), probes in wanted.items():
        dataset = datasets[name]
        case = next(case for case in dataset.cases if case.native_id == native)
        volume = read_nifti(dataset.root / (case.label if part == "label" else case.images[part]).file)
        for probe in probes:
            index = (np.linalg.inv(volume.affine) @ [*probe.point, 1])[:3]
            assert np.allclose(index, np.rint(index), atol=1e-3)
            assert volume.array[tuple(np.rint(index).astype(int))] == probe.value


def test_13_training_and_test_people_of_one_number_are_two(heads13: Path, tmp_path: Path) -> None:
    datasets = converted("mrbrains13", heads13, tmp_path)
    for dataset in datasets.values():
        assert dataset.subjects == ("test-1", "training-1", "training-2")
        files = {case.id: (case.images["t1"].file, case.label and case.label.file) for case in dataset.cases}
        assert files["test-1"] == ("imagesTs/test-1_0000.nii.gz", None)
        assert files["training-1"] == ("imagesTr/training-1_0000.nii.gz", "labelsTr/training-1.nii.gz")
        assert dataset.channels == ("t1", "ir", "flair")
        assert check(dataset.root) == []
    assert datasets["mrbrains13-tissue"].labels == {"CSF": 1, "GM": 2, "WM": 3}
    assert sorted(datasets["mrbrains13"].labels.values()) == list(range(1, 9))


def test_13_label_maps_hold_the_source_values_in_ras(heads13: Path, tmp_path: Path) -> None:
    datasets = converted("mrbrains13", heads13, tmp_path)
    for name, file in (("mrbrains13", "LabelsForTraining.nii"), ("mrbrains13-tissue", "LabelsForTesting.nii")):
        case = datasets[name].case("training-2")
        source = nib.as_closest_canonical(nib.load(training(heads13, 2) / file))
        label = read_label(datasets[name].root / case.label.file)
        assert np.array_equal(label.array, np.asanyarray(source.dataobj))
        assert np.allclose(label.affine, source.affine, atol=1e-4)
        assert case.geometry.source_orientation == "LAS"
        assert case.warnings == ("the eight classes, folded, and LabelsForTesting differ in 3 voxels",)


@pytest.mark.parametrize("quirks", [mrbrains13.Quirks(top=False), mrbrains13.Quirks(zipped=True, differ=0)])
def test_13_layouts_give_the_same_people_and_voxels(heads13: Path, tmp_path: Path, quirks: mrbrains13.Quirks) -> None:
    mrbrains13.write(tmp_path / "raw", 2, 0, quirks)
    known = converted("mrbrains13", heads13, tmp_path / "known")["mrbrains13"]
    found = converted("mrbrains13", tmp_path / "raw", tmp_path / "data")
    assert found["mrbrains13"].content_sha256() == known.content_sha256()
    if not quirks.differ:
        assert {case.warnings for dataset in found.values() for case in dataset.cases} == {()}


def test_13_the_training_folder_itself_may_be_given(heads13: Path, tmp_path: Path) -> None:
    dataset = converted("mrbrains13", training(heads13, 1).parent, tmp_path)["mrbrains13"]
    assert dataset.subjects == ("training-1", "training-2")


def test_13_a_label_map_of_another_head_is_refused(heads13: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(heads13, tmp_path / "raw")
    label = np.asanyarray(nib.load(training(raw, 1) / "LabelsForTesting.nii").dataobj)
    save_like(training(raw, 1) / "LabelsForTesting.nii", np.ascontiguousarray(label[:, ::-1]))
    found = refused(convert("mrbrains13", raw, tmp_path / "data"))
    for name in ("mrbrains13", "mrbrains13-tissue"):
        assert len(found[name]) == 1
        assert found[name][0].startswith("training-1: LabelsForTraining, folded to three tissues, and LabelsForTesting")
    assert not list((tmp_path / "data").rglob("*training-1*"))


@pytest.mark.parametrize("value", [9, 255])
def test_13_values_that_are_no_class_are_refused_and_counted(heads13: Path, tmp_path: Path, value: int) -> None:
    raw = shutil.copytree(heads13, tmp_path / "raw")
    path = training(raw, 1) / "LabelsForTraining.nii"
    label = np.asanyarray(nib.load(path).dataobj).copy()
    label[0, 0, :2] = value
    save_like(path, label)
    found = refused(convert("mrbrains13", raw, tmp_path / "data"))["mrbrains13"]
    assert found == [f"training-1: LabelsForTraining.nii: values outside 0 to 8: {value} (2 voxels)"]


def test_13_training_people_without_labels_are_a_broken_download(heads13: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(heads13, tmp_path / "raw")
    (training(raw, 1) / "LabelsForTraining.nii").unlink()
    (training(raw, 2) / "LabelsForTesting.nii").unlink()
    reports = convert("mrbrains13", raw, tmp_path / "data")
    assert refused(reports) == {"mrbrains13": ["training-1: there is no such file"], "mrbrains13-tissue": []}
    told = {case.id: case.warnings for case in Dataset.load(reports[1].root).cases}
    assert told["training-2"] == ("there is no LabelsForTesting: the three tissues are the eight classes, folded",)


def test_13_a_person_who_lies_there_twice_is_refused(heads13: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(heads13, tmp_path / "raw")
    shutil.copytree(training(raw, 1), raw / "copy" / "TrainingData" / "1")
    with pytest.raises(ValueError, match="person training-1 lies there twice"):
        convert("mrbrains13", raw, tmp_path / "data")


def test_the_fold_is_the_organisers_rule() -> None:
    label = Volume(np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 255], np.uint8).reshape(10, 1, 1), np.eye(4))
    assert mrbrains.fold(label).array.ravel().tolist() == [0, 2, 2, 3, 3, 1, 1, 0, 0, 255]


def test_18_pathology_is_excluded_and_counted(heads18: Path, tmp_path: Path) -> None:
    datasets = converted("mrbrains18", heads18, tmp_path)
    source = nib.load(heads18 / "training" / "1" / "segm.nii.gz")
    drawn = np.asanyarray(nib.as_closest_canonical(source).dataobj)
    counts = [int((drawn == value).sum()) for value in (9, 10)]
    assert min(counts) > 0
    folded = mrbrains.fold(Volume(np.where(drawn > 8, np.uint8(IGNORE), drawn), np.eye(4))).array
    for name, wanted in (("mrbrains18", np.where(drawn > 8, IGNORE, drawn)), ("mrbrains18-tissue", folded)):
        dataset = datasets[name]
        case = dataset.case("1")
        assert np.array_equal(read_label(dataset.root / case.label.file).array, wanted)
        assert case.label.voxels["255"] == sum(counts)
        assert case.warnings == (
            f"excluded from scoring (255): {counts[0]} voxels of infarction, {counts[1]} voxels of other",
        )
        assert dataset.case("4").warnings == ()
        assert check(dataset.root) == []
    assert any("folded" in told for told in datasets["mrbrains18-tissue"].file.bench.warnings)
    assert not any("folded" in told for told in datasets["mrbrains18"].file.bench.warnings)


def test_18_takes_the_registered_images_of_pre(heads18: Path, tmp_path: Path) -> None:
    dataset = converted("mrbrains18", heads18, tmp_path)["mrbrains18"]
    for channel, file in (("t1", "reg_T1"), ("ir", "reg_IR"), ("flair", "FLAIR")):
        source = nib.as_closest_canonical(nib.load(heads18 / "training" / "4" / "pre" / f"{file}.nii.gz"))
        image = read_nifti(dataset.root / dataset.case("4").images[channel].file)
        assert np.array_equal(image.array, np.asanyarray(source.dataobj))


@pytest.mark.parametrize("quirks", [mrbrains18.Quirks(part=False), mrbrains18.Quirks(unzipped=True)])
def test_18_layouts_give_the_same_voxels(heads18: Path, tmp_path: Path, quirks: mrbrains18.Quirks) -> None:
    mrbrains18.write(tmp_path / "raw", 2, 0, quirks)
    known = converted("mrbrains18", heads18, tmp_path / "known")["mrbrains18"]
    found = converted("mrbrains18", tmp_path / "raw", tmp_path / "data")["mrbrains18"]
    assert found.content_sha256() == known.content_sha256()


def test_18_ids_are_those_of_the_folders(tmp_path: Path) -> None:
    mrbrains18.write(tmp_path / "raw", 7, 0, mrbrains18.Quirks(long_ids=True))
    dataset = converted("mrbrains18", tmp_path / "raw", tmp_path / "data")["mrbrains18"]
    assert set(dataset.subjects) == {"1", "4", "5", "7", "14", "070", "148"}


def test_18_a_test_part_is_held_out_with_labels_and_without(heads18: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(heads18, tmp_path / "raw")
    for number in ("1", "4"):
        shutil.move(raw / "training" / number, raw / "test" / number)
    (raw / "test" / "4" / "segm.nii.gz").unlink()
    dataset = converted("mrbrains18", raw, tmp_path / "data")["mrbrains18"]
    files = {case.id: (case.images["t1"].file, case.label and case.label.file) for case in dataset.cases}
    assert files == {
        "1": ("imagesTs/1_0000.nii.gz", "labelsTs/1.nii.gz"),
        "4": ("imagesTs/4_0000.nii.gz", None),
    }


def test_every_phantom_file_bears_the_mark(heads13: Path, heads18: Path) -> None:
    files = [path for root in (heads13, heads18) for path in root.rglob("*") if path.is_file()]
    assert all(is_phantom(path) for path in files)


def test_phantoms_differ_by_seed_alone(tmp_path: Path) -> None:
    for module in (mrbrains13, mrbrains18):
        roots = [tmp_path / module.__name__ / name for name in ("two", "one", "other")]
        for root, (cases, seed) in zip(roots, ((2, 0), (1, 0), (1, 1)), strict=True):
            module.write(root, cases, seed)
        two, one, other = ({p.relative_to(r): p.read_bytes() for p in r.rglob("*.nii*")} for r in roots)
        assert one.items() <= two.items()
        assert not set(one.values()) & set(other.values())


def test_a_description_in_a_header_reaches_no_output(heads18: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(heads18, tmp_path / "raw")
    path = raw / "training" / "4" / "pre" / "FLAIR.nii.gz"
    image = bytearray(gzip.decompress(path.read_bytes()))
    image[168:174] = b"Quimby"
    path.write_bytes(gzip.compress(bytes(image)))
    converted("mrbrains18", raw, tmp_path / "data")
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            assert b"Quimby" not in data


def test_access_ends_with_the_conversion() -> None:
    for name in ("mrbrains13", "mrbrains18"):
        assert find(name).ACCESS.steps[-1].startswith(f"bench convert {name} ")
