"""Label maps that a user lays beside IXI: which are found, what they become, what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ixi_tree import T1, by_number, converted, dataset, name, tree

from converters.dataset import Dataset
from converters.phantoms.ixi import Quirks
from converters.volume import read_label


def spoil(path: Path, change: Callable[[np.ndarray], None]) -> None:
    one = nib.load(path)
    array = np.asarray(one.dataobj).copy()
    change(array)
    nib.save(nib.Nifti1Image(array, one.affine, one.header), path)


def test_label_maps_of_a_program_become_labels_of_derived_origin(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 3)
    found = dataset(raw, tmp_path / "data", raw / "labels")
    assert found.labels == {"grey matter": 1, "white matter": 2, "ventricles": 3}
    assert found.file.bench.label_info["white matter"].source_values == (2, 41)
    assert found.file.numTraining == 3
    told = " ".join(found.file.bench.warnings)
    assert "no ground truth" in told and "frugalseg-phantom" in told and "faces" in told
    for case in found.cases:
        assert case.label and (case.label.origin, case.label.kind) == ("derived", "dense")
        source = nib.as_closest_canonical(nib.load(raw / "labels" / f"{case.native_id}-T1_synthseg.nii.gz"))
        drawn = np.asarray(source.dataobj)
        ours = read_label(found.root / case.label.file).array
        for code, values in enumerate(((0, 24), (3, 42), (2, 41), (4, 43))):
            assert np.array_equal(ours == code, np.isin(drawn, values)), case.id


def test_without_labels_nothing_is_claimed(tmp_path: Path) -> None:
    found = dataset(tree(tmp_path / "raw", T1, 2), tmp_path / "data")
    assert found.labels == {} and found.file.numTraining == 0
    assert all(case.label is None and case.images["t1"].file.startswith("imagesUn/") for case in found.cases)
    assert "IXI has no tissue labels: no label map can be scored; sex and age can" in found.file.bench.warnings


def test_a_case_that_gets_its_label_later_moves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 2)
    before = dataset(raw, tmp_path / "data")
    assert len(list((before.root / "imagesUn").iterdir())) == 2
    after = dataset(raw, tmp_path / "data", raw / "labels")
    assert after.cases[0].images["t1"].file.startswith("imagesTr/")
    assert dataset(raw, tmp_path / "data").file == before.file


@pytest.mark.parametrize(
    "stem", ["{exam}-T1_synthseg", "{exam}-T1", "{exam}_seg", "{person}", "{person}-T1_aseg", "{exam}/mri/aseg"]
)
def test_label_maps_are_found_by_stem_or_person(tmp_path: Path, stem: str) -> None:
    raw, maps = tree(tmp_path / "raw", T1, 2), tmp_path / "maps"
    shutil.move(raw / "labels", maps)
    for number in (1, 2):
        path = maps / f"{stem.format(exam=name(number), person=name(number)[:6])}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        (maps / f"{name(number)}-T1_synthseg.nii.gz").rename(path)
    found = dataset(raw, tmp_path / "data", maps)
    assert found.file.numTraining == 2
    assert [file.path for file in found.cases[0].sources][-2:] == ["elsewhere/labels.toml", "IXI.xls"]


def test_maps_without_an_image_and_images_without_a_map_are_told(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 4)
    labels = raw / "labels"
    (labels / f"{name(2)}-T1_synthseg.nii.gz").rename(labels / "IXI500-HH-1234-T1_synthseg.nii.gz")
    shutil.copy(labels / f"{name(1)}-T1_synthseg.nii.gz", labels / "mean.nii.gz")
    found = dataset(raw, tmp_path / "data", labels)
    assert found.file.bench.warnings[-3:] == (
        "label maps that fit no image here, or several: 1 (IXI500)",
        "files beside the label maps that name no person of IXI: 1",
        "examinations without a label map: 1 of 4",
    )
    lone = by_number(found)[2]
    assert lone.label is None and "no label map was supplied for it" in lone.warnings


def test_maps_that_name_no_contrast_need_it_declared_where_there_are_several(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", Quirks(contrasts=("T1", "T2")), 2)
    labels = raw / "labels"
    for number in (1, 2):
        (labels / f"{name(number)}-T1_synthseg.nii.gz").rename(labels / f"{name(number)}.nii.gz")
    with pytest.raises(ValueError, match="which contrast was it drawn on"):
        converted(raw, tmp_path / "data", labels)
    with (labels / "labels.toml").open("r+") as toml:
        text = toml.read()
        toml.seek(0)
        toml.write('contrasts = ["t1"]\n' + text)
    reports = converted(raw, tmp_path / "data", labels)
    assert [Dataset.load(report.root).file.numTraining for report in reports.values()] == [2, 0]
    assert not [failure for report in reports.values() for failure in report.failures]


def test_label_maps_among_the_images_are_refused(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    with pytest.raises(ValueError, match="the label maps lie among the images"):
        converted(raw, tmp_path / "data", raw)


def fails(tmp_path: Path, change: Callable[[Path], None]) -> str:
    raw = tree(tmp_path / "raw", T1, 2)
    change(raw / "labels" / f"{name(1)}-T1_synthseg.nii.gz")
    report = converted(raw, tmp_path / "data", raw / "labels")["ixi-t1"]
    assert report.cases == 1
    return "; ".join(error.what for error in report.failures)


def test_values_that_labels_toml_does_not_name_are_refused_with_their_counts(tmp_path: Path) -> None:
    def plant(array: np.ndarray) -> None:
        array[0, 0, :3], array[1, 0, 0] = 77, 1002

    told = fails(tmp_path, lambda path: spoil(path, plant))
    assert "labels.toml says nothing of the values 77 (3 voxels), 1002 (1 voxels)" in told


def test_a_map_on_another_grid_is_refused(tmp_path: Path) -> None:
    def shift(path: Path) -> None:
        one = nib.load(path)
        affine = one.affine.copy()
        affine[0, 3] += 2
        nib.save(nib.Nifti1Image(np.asarray(one.dataobj), affine), path)

    assert "label and channel t1 lie 2 mm apart" in fails(tmp_path, shift)


def test_an_interpolated_map_is_refused(tmp_path: Path) -> None:
    def blur(path: Path) -> None:
        one = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(one.dataobj) * np.float32(0.5), one.affine), path)

    assert "are no integers" in fails(tmp_path, blur)


def test_two_maps_for_one_image_are_refused(tmp_path: Path) -> None:
    told = fails(tmp_path, lambda path: shutil.copy(path, path.with_name(f"{name(1)[:6]}.nii.gz")))
    assert "2 files could be its label map" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, r"there is no labels\.toml"),
        ("[labels]\na = 1\n", "missing required field `generator`"),
        ('generator = "x"\n[labels]\n', "takes 1 to 254 structures"),
        ('generator = "x"\n[labels]\na = 1\nb = [2, 1]\n', "source value 1 has two meanings"),
        ('generator = "x"\n[labels]\na = 0\n', "source value 0 has two meanings"),
        ('generator = "x"\n[labels]\na = []\n', "'a' has no source value"),
        ('generator = "x"\n[labels]\na = -1\n', "source value -1; 0 to 65535"),
        ('generator = "x"\n[labels]\nbackground = 3\n', "background has a line of its own"),
        ('generator = "<b>"\n[labels]\na = 1\n', "no plain name"),
        ('generator = "x"\n[labels]\na = "one"\n', "labels"),
        ("generator", "labels.toml: "),
    ],
)
def test_an_unsound_labels_toml_is_refused_before_anything_is_written(
    tmp_path: Path, text: str | None, told: str
) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    (raw / "labels" / "labels.toml").unlink()
    if text is not None:
        (raw / "labels" / "labels.toml").write_text(text)
    with pytest.raises(ValueError, match=told):
        converted(raw, tmp_path / "data", raw / "labels")
    assert not (tmp_path / "data").exists()


def test_values_to_ignore_become_255(tmp_path: Path) -> None:
    raw = tree(tmp_path / "raw", T1, 1)
    toml = raw / "labels" / "labels.toml"
    toml.write_text(toml.read_text().replace("background = [0, 24]", "background = [0]\nignore = [24]"))
    (case,) = dataset(raw, tmp_path / "data", raw / "labels").cases
    drawn = np.asarray(nib.load(raw / "labels" / f"{name(1)}-T1_synthseg.nii.gz").dataobj)
    assert case.label and case.label.voxels["255"] == (drawn == 24).sum() > 0
