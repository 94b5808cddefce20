"""Tasks of the Medical Segmentation Decathlon: what converts, and what is refused."""

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from described import changed

from converters import nifti
from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.phantoms import msd
from converters.source import find

GLAND = "Task81_Gland"


def written(tmp_path: Path, cases: int = 2, **quirks: bool) -> Path:
    msd.write(tmp_path / "raw", cases, 0, msd.Quirks(**quirks))
    return tmp_path / "raw"


def test_a_folder_of_tasks_becomes_a_dataset_for_each(tmp_path):
    reports = convert("msd", written(tmp_path), tmp_path / "data")
    assert [report.name for report in reports] == ["phantom-msd-gland", "phantom-msd-nodule"]
    assert [report.failures for report in reports] == [[], []]
    gland, nodule = (Dataset.load(report.root) for report in reports)
    assert gland.channels == ("T2", "ADC") and gland.file.bench.channels[0].modality == "MR"
    assert (nodule.file.bench.channels[0].modality, nodule.file.bench.channels[0].unit) == ("CT", "HU")
    assert gland.labels == {"shell": 1, "core": 2, "spot": 3}


def test_a_task_alone_is_taken_too(tmp_path):
    (report,) = convert("msd", written(tmp_path) / GLAND, tmp_path / "data")
    assert report.name == "phantom-msd-gland" and report.cases == 3


def test_channels_are_the_places_of_the_last_axis(tmp_path):
    raw = written(tmp_path)
    (report,) = convert("msd", raw / GLAND, tmp_path / "data")
    case = Dataset.load(report.root).case("gland-01")
    theirs = nib.as_closest_canonical(nib.load(raw / GLAND / "imagesTr" / "gland_01.nii.gz"))
    for number, image in enumerate(case.images.values()):
        ours = nib.load(report.root / image.file)
        np.testing.assert_array_equal(ours.dataobj, np.asarray(theirs.dataobj)[..., number])
        np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-5)


@pytest.mark.fault(42)
def test_whole_numbers_stored_as_float_are_labels_and_fractions_are_not(tmp_path):
    raw = written(tmp_path, fraction=True)
    assert nib.load(raw / GLAND / "labelsTr" / "gland_01.nii.gz").get_data_dtype() == np.float32
    (report,) = convert("msd", raw / GLAND, tmp_path / "data")
    assert report.cases == 2
    (error,) = report.failures
    assert error.what.startswith("gland-00: gland_00.nii.gz: ") and "are no integers, the first is 2.5" in error.what
    assert check(report.root) == []


def test_an_image_without_a_label_is_unlabelled_and_the_dataset_says_so(tmp_path):
    (report,) = convert("msd", written(tmp_path) / GLAND, tmp_path / "data")
    dataset = Dataset.load(report.root)
    assert dataset.case("gland-90").images["T2"].file == "imagesUn/gland-90_0000.nii.gz"
    assert dataset.file.bench.warnings == ("1 images have no label: gland_90",)
    assert "gland_90" in (report.root / "README.md").read_text()


@pytest.mark.fault(48)
def test_a_label_without_an_image_is_named_and_the_others_convert(tmp_path):
    (report,) = convert("msd", written(tmp_path, orphan=True) / GLAND, tmp_path / "data")
    assert report.cases == 3
    assert [error.what for error in report.failures] == ["gland-97: the label gland_97.nii.gz has no image"]


@pytest.mark.fault(48)
def test_a_listed_file_that_is_not_there_is_named(tmp_path):
    raw = written(tmp_path) / GLAND
    (raw / "imagesTr" / "gland_00.nii.gz").unlink()
    (raw / "labelsTr" / "gland_01.nii.gz").unlink()
    (report,) = convert("msd", raw, tmp_path / "data")
    assert [(error.what, Path(error.where).name) for error in report.failures] == [
        ("gland-00: there is no such file", "gland_00.nii.gz"),
        ("gland-01: there is no such file", "gland_01.nii.gz"),
    ]


def test_what_the_organiser_held_out_stands_in_images_ts(tmp_path):
    (report,) = convert("msd", written(tmp_path, held_out=True) / GLAND, tmp_path / "data")
    case = Dataset.load(report.root).case("gland-95")
    assert case.label is None and case.images["ADC"].file == "imagesTs/gland-95_0001.nii.gz"


@pytest.mark.fault(46)
def test_a_description_with_a_byte_order_mark_is_refused_with_its_line(tmp_path):
    with pytest.raises(BenchError, match=r"dataset\.json: line 1: it starts with a byte order mark"):
        convert("msd", written(tmp_path, bom=True), tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"labels": {', '"lables": {', "line 1: file: the key 'labels' is missing"),
        ('"numTraining": 2', '"numTraining": NaN', "line 18: "),
        ('"numTest": 0,', '"numTest": 0', "line 20: "),
        ('"numTraining": 2', '"numTraining": "two"', "line 18: numTraining: "),
        ('"relase": "1.0"', '"reelase": {"any": [1]}', None),
    ],
    ids=["key missing", "NaN", "bad JSON", "wrong kind", "unknown key"],
)
def test_a_description_is_read_strictly_but_for_keys_that_nobody_knows(tmp_path, old, new, told):
    raw = written(tmp_path) / GLAND
    path = raw / "dataset.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    if told is None:
        assert convert("msd", raw, tmp_path / "data")[0].failures == []
        return
    with pytest.raises(BenchError, match=told):
        convert("msd", raw, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.fault(46)
def test_every_fault_of_a_description_is_named_at_once(tmp_path):
    raw = written(tmp_path) / GLAND
    changed(raw / "dataset.json", modality=None, labels=3, name=["no"])
    with pytest.raises(BenchError) as error:
        convert("msd", raw, tmp_path / "data")
    assert all(word in error.value.what for word in ("'modality' is missing", "labels: ", "name: "))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"numTraining": 7}, "numTraining is 7, but training lists 2 cases"),
        ({"labels": {"0": "background", "2": "core"}}, r"label codes \[0, 2\] are not consecutive"),
        ({"labels": {"0": "background", "one": "core"}}, "label codes one are no numbers"),
        ({"labels": {"0": "background", "1": "core", "2": "core"}}, "several labels are called core"),
        ({"labels": {"0": "background", "1": "ignore", "2": "core"}}, "'ignore' is 1; it must be the highest code"),
        ({"modality": {"1": "T2"}}, "channels are numbered 1, not from 0"),
        ({"modality": {"0": "T2", "1": "T2"}}, "two channels have one name"),
        ({"training": [{"image": "../../x.nii.gz", "label": "y.nii.gz"}], "numTraining": 1}, "leads out of"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(tmp_path, keys, told):
    raw = written(tmp_path) / GLAND
    changed(raw / "dataset.json", **keys)
    with pytest.raises(BenchError, match=told):
        convert("msd", raw, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_files_with_more_channels_than_the_description_are_refused(tmp_path):
    raw = written(tmp_path, unlabelled=False) / GLAND
    changed(raw / "dataset.json", modality={"0": "T2"})
    (report,) = convert("msd", raw, tmp_path / "data")
    assert {error.what.partition(": ")[2] for error in report.failures} == {"2 channels; dataset.json names 1: T2"}
    assert not (tmp_path / "data" / "phantom-msd-gland").exists()


def test_a_label_value_that_has_no_name_is_refused(tmp_path):
    raw = written(tmp_path, unlabelled=False) / GLAND
    changed(raw / "dataset.json", labels={"0": "background", "1": "shell", "2": "core"})
    (report,) = convert("msd", raw, tmp_path / "data")
    assert all("values outside [0, 1, 2]: 3 (" in error.what for error in report.failures)
    assert len(report.failures) == 2


def test_images_without_a_description_are_no_task(tmp_path):
    raw = written(tmp_path)
    (raw / GLAND / "dataset.json").unlink()
    with pytest.raises(BenchError, match=r"there is no dataset\.json"):
        convert("msd", raw / GLAND, tmp_path / "data")


def test_two_tasks_of_one_name_are_refused(tmp_path):
    raw = written(tmp_path)
    shutil.copytree(raw / GLAND, raw / "Task91_gland")
    with pytest.raises(BenchError, match="several folders are called msd-gland"):
        convert("msd", raw, tmp_path / "data")


def test_hippocampus_converts_whole_and_checks_clean(shared_data, tmp_path):
    (report,) = convert("msd", shared_data / "Task04_Hippocampus", tmp_path)
    assert (report.name, report.cases, report.failures) == ("msd-hippocampus", 60, [])
    dataset = Dataset.load(report.root)
    assert dataset.labels == {"Anterior": 1, "Posterior": 2}
    assert (dataset.file.licence, dataset.file.bench.source.doi) == ("CC-BY-SA-4.0", "10.1038/s41467-022-30695-9")
    assert check(report.root) == []
    label = dataset.case("hippocampus-001").label
    theirs = nib.load(shared_data / "Task04_Hippocampus" / "labelsTr" / "hippocampus_001.nii.gz")
    values, counts = np.unique(np.asarray(theirs.dataobj), return_counts=True)
    assert label.voxels == {str(int(v)): int(n) for v, n in zip(values, counts, strict=True)}


def test_all_ten_archives_can_be_fetched_with_their_checksums():
    files = find("msd").ACCESS.files
    assert [file.name[:6] for file in files] == [f"Task{number:02d}" for number in range(1, 11)]
    assert len({file.checksum for file in files}) == 10
    assert all(file.checksum.startswith("md5:") and len(file.checksum) == 36 for file in files)


# channels of a file


def test_a_file_of_three_axes_is_one_channel(tmp_path):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    (tmp_path / "a.nii.gz").write_bytes(nifti.encode(voxels, np.eye(4)))
    array, _ = nifti.decode_channels(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(array, voxels[..., None])


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "float32"])
def test_four_axes_come_back_as_they_were_and_as_nibabel_reads_them(tmp_path, kind):
    voxels = (np.arange(120).reshape(5, 4, 3, 2) * 2).astype(kind)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(nifti.encode(voxels, np.diag([1.5, 2, 3, 1])))
    array, affine = nifti.decode_channels(path)
    np.testing.assert_array_equal(array, voxels)
    np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), voxels)
    np.testing.assert_array_equal(nib.load(path).affine, affine)
    assert nifti.shape(path) == (5, 4, 3, 2)
    with pytest.raises(BenchError, match="4-D, 5x4x3x2"):
        nifti.decode(path)


def test_a_fifth_axis_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 2, 3), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(BenchError, match="5-D, 2x2x2x2x3"):
        nifti.decode_channels(tmp_path / "a.nii.gz")


def test_files_that_were_unzipped_are_found_though_the_description_names_the_zipped_ones(tmp_path):
    task = written(tmp_path) / GLAND
    (known,) = convert("msd", task, tmp_path / "known")
    for path in task.rglob("[!.]*.nii.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    (report,) = convert("msd", task, tmp_path / "data")
    assert report.failures == []
    assert Dataset.load(report.root).content_sha256() == Dataset.load(known.root).content_sha256()


def test_a_folder_of_any_name_makes_a_dataset(tmp_path):
    task = (written(tmp_path) / GLAND).rename(tmp_path / "Task09_Écho (2)")
    (report,) = convert("msd", task, tmp_path / "data")
    assert report.name == "phantom-msd-echo-2" and report.failures == []
    with pytest.raises(BenchError, match="'肝' cannot be the name of a dataset"):
        convert("msd", task.rename(tmp_path / "Task09_肝"), tmp_path / "data")
