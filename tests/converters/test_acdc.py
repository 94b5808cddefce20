import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from acdc_tree import acdc_tree, frame

from bench.splits import count, labelled
from converters.check import check
from converters.convert import convert
from converters.dataset import IGNORE, Dataset
from converters.source import find
from converters.volume import read_label, read_nifti


def converted(raw: Path, out: Path) -> Dataset:
    (report,) = convert("acdc", raw, out)
    assert report.failures == []
    return Dataset.load(report.root)


@pytest.mark.parametrize("part", ["database/training", "training"])
def test_both_layouts_give_both_frames_of_each_patient(tmp_path: Path, part: str) -> None:
    dataset = converted(acdc_tree(tmp_path / "raw", part=part), tmp_path / "data")
    assert [case.id for case in dataset.cases] == ["patient001-ed", "patient001-es", "patient002-ed", "patient002-es"]
    assert dataset.subjects == ("patient001", "patient002")
    assert [case.native_id for case in dataset.cases][:2] == ["patient001_ED", "patient001_ES"]
    assert dataset.case("patient002-es").meta == {"phase": "ES", "frame": 9.0, "group": "DCM"}
    assert dataset.labels == {"RV": 1, "MYO": 2, "LV": 3}


def test_four_in_a_scribble_is_255_here_and_background_strokes_stay(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    dataset = converted(raw, tmp_path / "data")
    annotation = dataset.case("patient001-ed").annotations["scribble"]
    drawn = read_label(dataset.root / annotation.file).array
    source = np.asanyarray(nib.as_closest_canonical(nib.load(frame(raw, 1, "_scribble"))).dataobj)
    assert (annotation.kind, annotation.origin) == ("scribble", "expert")
    assert np.array_equal(drawn == IGNORE, source == 4)
    assert np.array_equal(drawn[drawn != IGNORE], source[source != 4])
    assert annotation.annotated_fraction == pytest.approx((source != 4).mean())
    assert annotation.voxels["0"] == (source == 0).sum() > 0
    assert [one.id for one in dataset.file.bench.annotation_sets] == ["scribble"]


def test_voxels_in_which_expert_and_reference_differ_are_counted(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    path = frame(raw, 1, "_scribble")
    image = nib.load(path)
    array = np.asanyarray(image.dataobj).copy()
    array[0, 0, 0], array[0, 3, 0] = 3, 1
    nib.save(nib.Nifti1Image(array, None, image.header), path)
    dataset = converted(raw, tmp_path / "data")
    assert dataset.case("patient001-ed").warnings == ("scribble: 2 of 45 annotated voxels differ from the label",)
    assert dataset.case("patient001-es").warnings == ()


def test_without_scribbles_there_is_no_annotation_set(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    shutil.rmtree(raw / "acdc_scribbles")
    dataset = converted(raw, tmp_path / "data")
    assert dataset.file.bench.annotation_sets == ()
    assert not (dataset.root / "annotations").exists()


def test_the_organisers_test_patients_are_held_out_with_and_without_labels(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    acdc_tree(raw, (101, 102), "database/testing")
    for path in (raw / "database" / "testing" / "patient102").glob("*_gt.nii.gz"):
        path.unlink()
    dataset = converted(raw, tmp_path / "data")
    files = {case.id: (case.images["cine"].file, case.label and case.label.file) for case in dataset.cases}
    assert files["patient101-ed"] == ("imagesTs/patient101-ed_0000.nii.gz", "labelsTs/patient101-ed.nii.gz")
    assert files["patient102-ed"] == ("imagesTs/patient102-ed_0000.nii.gz", None)
    assert files["patient002-ed"] == ("imagesTr/patient002-ed_0000.nii.gz", "labelsTr/patient002-ed.nii.gz")
    assert dataset.file.numTraining == 4
    assert check(dataset.root) == []


@pytest.mark.fault(81)
def test_only_the_group_is_taken_from_info_cfg(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    config = frame(raw, 1).parent / "Info.cfg"
    planted = ["Quimby", "19500704", "171.25", "EchoBay"]
    told = zip(("Group", "Birth", "Height", "Site"), planted, strict=True)
    config.write_text("ED: 1\nES: 8\n" + "".join(f"{key}: {value}\n" for key, value in told))
    image = bytearray(gzip.decompress(frame(raw, 1).read_bytes()))
    image[148:154] = b"Quimby"  # the description of the NIfTI header
    frame(raw, 1).write_bytes(gzip.compress(bytes(image)))
    dataset = converted(raw, tmp_path / "data")
    assert "group" not in dataset.cases[0].meta
    for path in dataset.root.rglob("*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert not [word for word in planted if word.encode() in data], path


def test_published_splits_are_those_of_the_literature() -> None:
    (info,) = find("acdc").INFO
    splits = {split.name: split for split in info.splits}
    assert sorted(splits) == ["ssl4mis", *(f"wsl4mis-fold{k}" for k in range(1, 6))]
    everybody = {f"patient{n:03d}" for n in range(1, 101)}
    for split in splits.values():
        sides = [set(split.train), set(split.val), set(split.test)]
        assert set.union(*sides) == everybody
        assert sum(map(len, sides)) == 100
    first = splits["ssl4mis"]
    assert (len(first.train), len(first.val), len(first.test)) == (70, 10, 20)
    assert first.draws["ssl4mis"] == tuple(f"patient{n:03d}" for n in (99, 38, 50, 100, 58, 21, 49))
    assert set(first.draws["ssl4mis"]) <= set(first.train)
    assert splits["wsl4mis-fold2"].test == tuple(f"patient{n:03d}" for n in range(21, 41))


def test_wsl4mis_labels_every_tenth_patient_who_is_not_tested() -> None:
    (info,) = find("acdc").INFO
    folds = {split.name: split for split in info.splits if split.name.startswith("wsl4mis-fold")}
    assert folds["wsl4mis-fold1"].draws["wsl4mis"] == tuple(f"patient{n:03d}" for n in range(30, 101, 10))
    assert folds["wsl4mis-fold3"].draws["wsl4mis"][3:5] == ("patient040", "patient070")
    for fold in folds.values():
        drawn = fold.draws["wsl4mis"]
        assert len(drawn) == count(10, len(fold.train)) == 8
        assert set(drawn) <= set(fold.train)


def test_a_published_split_is_written_only_where_all_its_subjects_are(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", tuple(range(1, 101)))
    dataset = converted(raw, tmp_path / "data")
    assert len(dataset.subjects) == 100
    assert len(list((dataset.root / "splits").glob("*.json"))) == 6
    assert dataset.split("ssl4mis").test[0] == "patient001"
    fold = dataset.split("wsl4mis-fold2")
    assert labelled(fold, 10, "wsl4mis") == tuple(f"patient{n:03d}" for n in (10, 20, *range(50, 101, 10)))
    assert check(dataset.root) == []
    few = converted(acdc_tree(tmp_path / "few"), tmp_path / "other")
    assert not (few.root / "splits").exists()


def real_patients(shared_data: Path, raw: Path, numbers: tuple[int, ...]) -> Path:
    source = shared_data / "acdc"
    for number in numbers:
        name = f"patient{number:03d}"
        shutil.copytree(source / "database" / "training" / name, raw / "database" / "training" / name)
        for path in (source / "acdc_scribbles").glob(f"{name}_*"):
            (raw / "acdc_scribbles").mkdir(exist_ok=True)
            shutil.copy(path, raw / "acdc_scribbles" / path.name)
    return raw


def test_real_patients_keep_spacing_place_and_scribbles(shared_data: Path, tmp_path: Path) -> None:
    raw = real_patients(shared_data, tmp_path / "raw", (1, 74, 76, 90))
    dataset = converted(raw, tmp_path / "data")
    assert len(dataset.cases) == 8
    for case in dataset.cases:
        source = next(file for file in case.sources if "gt" not in file.path and "frame" in file.path)
        original = nib.load(raw / source.path)
        assert case.geometry.source_orientation == "LPS"
        assert case.geometry.spacing_mm == tuple(float(str(size)) for size in original.header.get_zooms())
        image = read_nifti(dataset.root / case.images["cine"].file)
        canonical = nib.as_closest_canonical(original)
        assert np.array_equal(image.array, np.asanyarray(canonical.dataobj))
        assert np.allclose(image.affine, canonical.affine, atol=1e-4)
        scribble = case.annotations["scribble"]
        assert 0.005 < scribble.annotated_fraction < 0.03
        assert set(scribble.voxels) <= {"0", "1", "2", "3", "255"}
    assert dataset.case("patient090-ed").meta == {"phase": "ED", "frame": 4.0}
    assert dataset.case("patient090-es").meta == {"phase": "ES", "frame": 11.0}
    # Two patients of the collection hold the same images: known, declared, and nothing else may.
    assert dataset.file.bench.copies == (("patient074", "patient076"),)
    assert check(dataset.root) == []
