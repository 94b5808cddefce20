"""Raw datasets of nnU-Net: what converts, and what is refused."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from described import changed
from PIL import Image
from tiny import EXPERT, tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.check import check
from converters.convert import convert
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError
from converters.phantoms import nnunet

STROKES, NESTED = "Dataset781_Strokes", "Dataset782_Nested"


def written(tmp_path: Path, cases: int = 3, **quirks: bool) -> Path:
    nnunet.write(tmp_path / "raw", cases, 0, nnunet.Quirks(**quirks))
    return tmp_path / "raw"


def test_the_ignore_label_is_255_and_the_dataset_says_so(tmp_path):
    raw = written(tmp_path)
    (report,) = convert("nnunet", raw / STROKES, tmp_path / "data")
    dataset = Dataset.load(report.root)
    assert dataset.name == "phantom-strokes" and dataset.labels == {"shell": 1, "core": 2}
    assert any("nobody annotated" in warning for warning in dataset.file.bench.warnings)
    for case in dataset.cases:
        theirs = nib.as_closest_canonical(nib.load(raw / STROKES / "labelsTr" / f"{case.native_id}.nii.gz"))
        seen = np.asarray(theirs.dataobj)
        ours = np.asarray(nib.load(report.root / case.label.file).dataobj)
        np.testing.assert_array_equal(ours, np.where(seen == 3, IGNORE, seen))


@pytest.mark.parametrize("listed", [False, True], ids=["folders", "the key dataset"])
def test_regions_and_channels_are_kept(tmp_path, listed):
    raw = written(tmp_path, listed=listed)
    (report,) = convert("nnunet", raw / NESTED, tmp_path / "data")
    assert (report.cases, report.failures) == (3, [])
    dataset = Dataset.load(report.root)
    assert dataset.labels == {"whole": (1, 2, 3), "inside": (2, 3), "spot": 3}
    assert dataset.channels == ("T1", "T2")
    assert [case.id for case in dataset.cases] == ["nested-0", "nested-1", "nested-2"]
    assert check(report.root) == []


def test_folds_become_splits_whose_validation_is_the_test_side(tmp_path):
    (report,) = convert("nnunet", written(tmp_path) / STROKES, tmp_path / "data")
    split = Dataset.load(report.root).split("nnunet-fold1")
    assert (split.train, split.val, split.test) == (("stroke-000", "stroke-002"), (), ("stroke-001",))


def test_a_fold_with_a_case_on_both_sides_is_refused(tmp_path):
    raw = written(tmp_path) / STROKES
    (raw / "splits_final.json").write_text('[{"train": ["stroke_000", "stroke_001"], "val": ["stroke_001"]}]')
    with pytest.raises(BenchError, match="fold 0 has stroke_001 on both sides"):
        convert("nnunet", raw, tmp_path / "data")


@pytest.mark.fault(48)
def test_images_and_labels_without_the_other_are_named(tmp_path):
    raw = written(tmp_path, unlabelled=True, orphan=True) / STROKES
    (report,) = convert("nnunet", raw, tmp_path / "data")
    assert [error.what for error in report.failures] == ["stroke-097: the label stroke_097.nii.gz has no image"]
    dataset = Dataset.load(report.root)
    assert "1 images have no label: stroke_002" in dataset.file.bench.warnings
    assert "imagesUn" in dataset.case("stroke-002").images["CT"].file


@pytest.mark.fault(46, 48, 51)
@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"numTraining": 7}, "numTraining is 7, but 3 cases stand in imagesTr and 3 have a label"),
        ({"labels": None, "file_ending": None}, "'labels' is missing; .*'file_ending' is missing"),
        ({"labels": {"background": 0, "ignore": 1, "core": 2}}, "'ignore' is 1; it must be the highest code"),
        ({"labels": {"background": 0, "shell": 1, "core": 2, "ignore": [3]}}, "'ignore' is"),
        ({"labels": {"background": 1, "shell": 0}}, "labels need 'background': 0"),
        ({"labels": {"background": 0, "shell": 1, "core": 3}}, "not consecutive from 0"),
        ({"file_ending": ".dcm"}, r"file_ending is '\.dcm'; these are read: \.nii\.gz, "),
        ({"channel_names": {"0": "CT", "2": "PET"}}, "numbered 0, 2, not from 0"),
    ],
)
def test_a_description_that_does_not_hold_is_refused(tmp_path, keys, told):
    raw = written(tmp_path) / STROKES
    changed(raw / "dataset.json", **keys)
    with pytest.raises(BenchError, match=told):
        convert("nnunet", raw, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.fault(46)
def test_a_byte_order_mark_is_refused_with_its_line(tmp_path):
    with pytest.raises(BenchError, match=r"dataset\.json: line 1: it starts with a byte order mark"):
        convert("nnunet", written(tmp_path, bom=True), tmp_path / "data")


def test_a_file_without_a_channel_number_is_refused(tmp_path):
    raw = written(tmp_path) / STROKES
    (raw / "imagesTr" / "stroke_000_0000.nii.gz").rename(raw / "imagesTr" / "stroke.nii.gz")
    with pytest.raises(BenchError, match=r"stroke\.nii\.gz ends in no channel number"):
        convert("nnunet", raw, tmp_path / "data")


def test_a_case_that_lacks_a_channel_is_named(tmp_path):
    raw = written(tmp_path) / NESTED
    (raw / "imagesTr" / "Nested 1_0001.nii").unlink()
    (raw / "imagesTr" / "Nested 2_0000.nii").rename(raw / "imagesTr" / "Nested 2_0002.nii")
    (report,) = convert("nnunet", raw, tmp_path / "data")
    assert [error.what for error in report.failures] == [
        "nested-1: 1 channels; dataset.json names 2: T1, T2",
        "nested-2: there is no such file",
    ]


def test_255_is_not_taken_for_ignored_where_nobody_says_so(tmp_path):
    raw = written(tmp_path) / NESTED
    path = raw / "labelsTr" / "Nested 0.nii"
    label = nib.load(path)
    voxels = np.asarray(label.dataobj).copy()
    voxels[0, 0, :2] = 255
    nib.save(nib.Nifti1Image(voxels, label.affine, label.header), path)
    (report,) = convert("nnunet", raw, tmp_path / "data")
    assert [error.what for error in report.failures] == [
        "nested-0: Nested 0.nii: 2 voxels hold 255, which dataset.json does not name"
    ]


def test_a_listed_path_that_leads_out_is_refused(tmp_path):
    raw = written(tmp_path) / NESTED
    changed(raw / "dataset.json", dataset={"a": {"images": ["../b.nii", "../c.nii"], "label": "d.nii"}})
    with pytest.raises(BenchError, match="leads out of its folder"):
        convert("nnunet", raw, tmp_path / "data")


def test_one_slice_makes_a_dataset_of_two_dimensions(tmp_path):
    raw = written(tmp_path) / STROKES
    for path in (*(raw / "imagesTr").glob("s*"), *(raw / "labelsTr").glob("s*")):
        image = nib.load(path)
        nib.save(image.slicer[:, :, 4:5], path)
    (report,) = convert("nnunet", raw, tmp_path / "data")
    assert Dataset.load(report.root).file.bench.ndim == 2 and check(report.root) == []


def test_a_dataset_of_ours_comes_back_as_it_was(tmp_path):
    ours = tiny_dataset(tmp_path / "tiny", 7, unlabelled=1, held_out=2, scribbles=True)
    freeze_default(ours)
    (report,) = convert("nnunet", ours.root, tmp_path / "data")
    assert report.failures == [] and check(report.root) == []
    back = Dataset.load(report.root)
    assert back.content_sha256() == ours.content_sha256()
    assert back.file.labels == ours.file.labels and back.file.bench.channels == ours.file.bench.channels
    for case in ours.cases:
        drawn = {name: one.data_sha256 for name, one in case.annotations.items()}
        assert {name: one.data_sha256 for name, one in back.case(case.id).annotations.items()} == drawn
    assert EXPERT in {name for case in back.cases for name in case.annotations}


def test_a_view_is_no_raw_dataset(tmp_path):
    ours = tiny_dataset(tmp_path / "tiny", 6)
    shown = view(ours, freeze_default(ours), parse("full"), 0, tmp_path / "view")
    with pytest.raises(BenchError, match="a view is no raw dataset") as error:
        convert("nnunet", shown.root, tmp_path / "data")
    assert "bench export" in error.value.mend


def described(raw: Path, ending: str, *channels: str) -> Path:
    """An empty folder with a dataset.json of two cases."""
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    names = {str(number): name for number, name in enumerate(channels)}
    told = {"channel_names": names, "labels": {"background": 0, "road": 1}, "numTraining": 2, "file_ending": ending}
    (raw / "dataset.json").write_text(json.dumps(told))
    return raw


def converted(raw: Path, out: Path) -> Dataset:
    (report,) = convert("nnunet", raw, out)
    assert report.failures == [] and check(report.root) == []
    return Dataset.load(report.root)


def test_pictures_are_read_and_colours_are_channels(tmp_path):
    raw = described(tmp_path / "Dataset120_Road", ".png", "R", "G", "B")
    colours = np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3), dtype=np.uint8)
    for number, picture in enumerate(colours):
        Image.fromarray(picture).save(raw / "imagesTr" / f"img_{number}_0000.png")
        Image.fromarray((picture[..., 0] > 99).astype(np.uint8)).save(raw / "labelsTr" / f"img_{number}.png")
    dataset = converted(raw, tmp_path / "data")
    assert dataset.file.bench.ndim == 2 and dataset.channels == ("R", "G", "B")
    assert dataset.file.bench.warnings[-1].startswith("pictures say nothing of millimetres")
    case = dataset.case("img-1")
    assert not case.geometry.spacing_known and case.geometry.shape == (30, 20, 1)
    for channel, name in enumerate("RGB"):
        found = np.asarray(nib.load(dataset.root / case.images[name].file).dataobj)[::-1, ::-1, 0].T
        np.testing.assert_array_equal(found, colours[1, ..., channel])
    label = np.asarray(nib.load(dataset.root / case.label.file).dataobj)[::-1, ::-1, 0].T
    np.testing.assert_array_equal(label, colours[1, ..., 0] > 99)
    Image.fromarray(colours[0]).save(raw / "labelsTr" / "img_0.png")
    (report,) = convert("nnunet", raw, tmp_path / "again")
    assert [error.what for error in report.failures] == ["img-0: img_0.png: the mask is drawn in colours"]


@pytest.mark.parametrize("ending", [".nii.gz", ".png"])
def test_a_damaged_first_image_does_not_change_what_the_others_are(tmp_path, ending):
    raw = described(tmp_path / "Dataset120_Road", ending, "grey")
    for number, picture in enumerate(np.random.default_rng(0).integers(0, 255, (2, 20, 30), dtype=np.uint8)):
        for path, array in (("imagesTr/img_{}_0000", picture), ("labelsTr/img_{}", picture // 128)):
            file = raw / f"{path.format(number)}{ending}"
            if ending == ".png":
                Image.fromarray(array).save(file)
            else:
                nib.save(nib.Nifti1Image(array[..., None], np.diag([-1.0, -1.0, 1.0, 1.0])), file)
    first = raw / "imagesTr" / f"img_0_0000{ending}"
    first.write_bytes(first.read_bytes()[:20])
    (report,) = convert("nnunet", raw, tmp_path / "data")
    assert report.cases == len(report.failures) == 1
    assert Dataset.load(report.root).file.bench.ndim == 2


@pytest.mark.parametrize("spacing", [[3, 2, 1], None, [3, 0, 1]])
def test_a_tiff_is_a_volume_with_the_spacing_beside_it(tmp_path, spacing):
    raw = described(tmp_path / "Dataset121_Cells", ".tif", "EM")
    voxels = np.random.default_rng(0).integers(0, 4000, (2, 5, 6, 7), dtype=np.uint16)
    for number, stack in enumerate(voxels):
        for path, pages in (("imagesTr/c_{}_0000.tif", stack), ("labelsTr/c_{}.tif", (stack > 2000).astype(np.uint8))):
            first, *others = map(Image.fromarray, pages)
            first.save(raw / path.format(number), save_all=True, append_images=others)
        if spacing:
            (raw / "imagesTr" / f"c_{number}.json").write_text(json.dumps({"spacing": spacing}))
    if spacing and 0 in spacing:
        (report,) = convert("nnunet", raw, tmp_path / "data")
        assert "c_0.json: spacing (3.0, 0.0, 1.0) is not positive" in report.failures[0].what
        return
    dataset = converted(raw, tmp_path / "data")
    case = dataset.case("c-1")
    assert case.geometry.spacing_mm == ((1, 2, 3) if spacing else (1, 1, 1))
    assert case.geometry.spacing_known == bool(spacing)
    assert ("imagesTr/c_1.json" in {source.path for source in case.sources}) == bool(spacing)
    for file, wanted in ((case.images["EM"].file, voxels[1]), (case.label.file, voxels[1] > 2000)):
        found = np.asarray(nib.load(dataset.root / file).dataobj)[::-1, ::-1].T
        np.testing.assert_array_equal(found, wanted)


def test_what_itk_writes_is_read(tmp_path):
    raw = described(tmp_path / "Dataset122_Knee", ".mha", "CT")
    voxels = np.random.default_rng(0).integers(-500, 500, (2, 5, 6, 7), dtype=np.int16)
    for number, volume in enumerate(voxels):
        for path, array in (("imagesTr/k_{}_0000.mha", volume), ("labelsTr/k_{}.mha", (volume > 0).astype(np.uint8))):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((1, 2, 3))
            sitk.WriteImage(image, str(raw / path.format(number)))
    dataset = converted(raw, tmp_path / "data")
    case = dataset.case("k-0")
    assert dataset.file.bench.ndim == 3 and case.geometry.spacing_mm == (1, 2, 3)
    for file, wanted in ((case.images["CT"].file, voxels[0]), (case.label.file, voxels[0] > 0)):
        found = np.asarray(nib.load(dataset.root / file).dataobj)[::-1, ::-1].T
        np.testing.assert_array_equal(found, wanted)
