"""Made-up patients: repeatable, in the native layout, with anatomy where it belongs."""

import gzip
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.phantoms import acdc, chaos, scan
from converters.phantoms.heart import Patient
from converters.phantoms.mark import TOKEN, is_phantom

INPHASE, OUTPHASE = "T1DUAL/DICOM_anon/InPhase", "T1DUAL/DICOM_anon/OutPhase"


@pytest.fixture(scope="module")
def hearts(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hearts")
    acdc.write(root, 5, 0)
    return root


@pytest.fixture(scope="module")
def bellies(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bellies")
    chaos.write(root, 4, 0)
    return root


@pytest.fixture(scope="module")
def converted(hearts: Path, bellies: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("converted")
    for name, raw in (("acdc", hearts), ("chaos", bellies)):
        assert not [failure for report in convert(name, raw, out) for failure in report.failures]
    return out


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stack(folder: Path) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def heights(folder: Path) -> np.ndarray:
    return np.array([float(one.ImagePositionPatient[2]) for one in stack(folder)])


def volumes(dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for case in dataset.cases:
        first = next(iter(case.images.values())).file
        yield tuple(np.asarray(nib.load(dataset.root / name).dataobj) for name in (first, case.label.file))


@pytest.mark.parametrize("source", [acdc, chaos])
def test_the_same_seed_writes_the_same_bytes_and_another_seed_other_ones(source, tmp_path):
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        source.write(tmp_path / name, 1, seed)
    one = digests(tmp_path / "one")
    assert one == digests(tmp_path / "again")
    assert not set(one.values()) & set(digests(tmp_path / "other").values())


def test_a_patient_does_not_depend_on_how_many_are_written(hearts, bellies, tmp_path):
    acdc.write(tmp_path / "hearts", 2, 0)
    chaos.write(tmp_path / "bellies", 2, 0)
    for few, many in ((tmp_path / "hearts", hearts), (tmp_path / "bellies", bellies)):
        assert digests(few).items() < digests(many).items()


def test_every_file_bears_the_mark(hearts, bellies):
    files = [path for root in (hearts, bellies) for path in root.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".gz", ".cfg", ".dcm", ".png"}
    assert all(is_phantom(path) for path in files)


def test_real_files_bear_no_mark(shared_data):
    for pattern in ("acdc/**/patient001_frame01.nii.gz", "acdc/**/Info.cfg", "chaos/**/*.dcm", "chaos/**/*.png"):
        assert not is_phantom(next(shared_data.glob(pattern)))


def test_the_mark_is_sought_in_the_header_and_not_in_the_voxels(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(352) + TOKEN.encode()))
    assert not is_phantom(path)
    path.write_bytes(b"\x1f\x8b" + TOKEN.encode())  # no gzip stream
    assert not is_phantom(path)


def test_acdc_has_the_native_names(hearts):
    names = set(digests(hearts))
    assert "database/training/patient001/Info.cfg" in names
    for folder in sorted((hearts / "database" / "training").iterdir()):
        info = dict(line.split(": ") for line in (folder / "Info.cfg").read_text().splitlines())
        assert int(info["ED"]) < int(info["ES"])
        for phase in ("ED", "ES"):
            stem = f"{folder.name}_frame{int(info[phase]):02d}"
            assert {f"database/training/{folder.name}/{stem}{end}.nii.gz" for end in ("", "_gt")} < names
            assert f"acdc_scribbles/{stem}_scribble.nii.gz" in names
    assert "ED: 1\n" not in (hearts / "database/training/patient005/Info.cfg").read_text()
    assert "Group" not in (hearts / "database/training/patient003/Info.cfg").read_text()


def test_acdc_headers_hold_a_qform_alone(hearts):
    for path in hearts.rglob("*.nii.gz"):
        image = nib.load(path)
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 1)
        assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
        assert 1.3 <= image.header.get_zooms()[0] <= 1.7
        assert 5 <= image.header.get_zooms()[2] <= 10


def test_acdc_hearts_shrink_and_hold_all_structures(hearts):
    for folder in (hearts / "database" / "training").iterdir():
        diastole, systole = (np.asarray(nib.load(path).dataobj) for path in sorted(folder.glob("*_gt.nii.gz")))
        for code in (1, 2, 3):
            assert 0.002 < (diastole == code).mean() < 0.1
        for code in (1, 3):
            assert (systole == code).sum() < 0.95 * (diastole == code).sum()


def test_scribbles_are_a_hundredth_of_the_voxels_and_agree_with_the_label(hearts):
    for path in (hearts / "acdc_scribbles").iterdir():
        stem = path.name.removesuffix("_scribble.nii.gz")
        label = hearts / "database" / "training" / stem.split("_")[0] / f"{stem}_gt.nii.gz"
        scribble, label = (np.asarray(nib.load(one).dataobj) for one in (path, label))
        drawn = scribble != 4
        assert set(np.unique(scribble)) == {0, 1, 2, 3, 4}
        assert 0.004 < drawn.mean() < 0.025
        assert np.array_equal(scribble[drawn], label[drawn])


def test_blood_is_darker_than_muscle_in_some_hearts_whatever_the_seed():
    for seed in range(5):
        dark = [patient.blood < patient.muscle for patient in (Patient.draw(seed, case) for case in range(1, 13))]
        assert sum(dark) == 2


def test_chaos_has_the_native_names(bellies):
    root = bellies / "Train_Sets"
    assert sorted(int(p.name) for p in (root / "MR").iterdir()) == [1, 2, 3, 5]  # as in the real set: 4 is missing
    for folder in (root / "MR").iterdir():
        inphase, outphase = (sorted(p.stem for p in (folder / part).iterdir()) for part in (INPHASE, OUTPHASE))
        assert inphase == sorted(p.stem for p in (folder / "T1DUAL/Ground").iterdir())
        assert [int(stem[-5:]) for stem in inphase] == [int(stem[-5:]) + 1 for stem in outphase]
        assert all(int(stem[-5:]) % 2 == 0 for stem in inphase)
        t2 = {path.stem for path in (folder / "T2SPIR/DICOM_anon").iterdir()}
        assert t2 == {path.stem for path in (folder / "T2SPIR/Ground").iterdir()}
    first, second = (sorted(p.name for p in (root / f"CT/{n}/DICOM_anon").iterdir()) for n in (2, 5))
    assert (first[0], second[0]) == ("i0000,0000b.dcm", "IMG-0004-00001.dcm")
    assert (root / "CT/5/Ground/liver_GT_000.png").is_file()


def test_chaos_labels_use_the_grey_codes_of_the_set(bellies):
    found = [np.asarray(Image.open(path)) for path in sorted(bellies.rglob("MR/*/*/Ground/*.png"))]
    assert {int(value) for picture in found for value in np.unique(picture)} == {0, 63, 126, 189, 252}
    pictures = [Image.open(path) for path in bellies.rglob("liver_GT_*.png")]
    assert {picture.mode for picture in pictures} == {"1"}
    assert 0.02 < np.mean([np.asarray(picture).mean() for picture in pictures]) < 0.2


def test_chaos_ct_sets_the_traps_of_the_real_set(bellies):
    for folder in (bellies / "Train_Sets" / "CT").iterdir():
        slices, z = stack(folder / "DICOM_anon"), heights(folder / "DICOM_anon")
        assert np.allclose(np.diff(z), -5.5)  # file names run from head to foot
        assert np.all(np.diff([float(one.SliceLocation) for one in slices]) > 0)
        assert {float(one.SliceThickness) for one in slices} == {3.2}
        assert {one.ProtocolName for one in slices} == {"T2SPIR"}
        assert {int(one.RescaleIntercept) for one in slices} == {-1000}
        assert list(slices[0].WindowCenter) == [50, 50]
        label = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "Ground").iterdir())])
        hounsfield = np.stack([one.pixel_array.astype(int) for one in slices]) - 1000
        assert 90 < hounsfield[label].mean() < 160
        assert hounsfield[::-1][label].mean() < 75  # labels paired in the wrong order lie on other tissue
        assert hounsfield.min() == -1000


def test_phases_share_a_grid_and_t2_lies_on_another(bellies):
    for folder in (bellies / "Train_Sets" / "MR").iterdir():
        inphase, outphase, t2 = (stack(folder / part)[0] for part in (INPHASE, OUTPHASE, "T2SPIR/DICOM_anon"))
        assert inphase.ImagePositionPatient == outphase.ImagePositionPatient
        assert inphase.ImagePositionPatient != t2.ImagePositionPatient
        assert inphase.EchoTime > outphase.EchoTime
        step = np.abs(np.diff(heights(folder / INPHASE)))
        assert np.allclose(step, step[0])
        assert float(inphase.SliceThickness) < step[0]


@pytest.mark.parametrize("answer", [True, False])
def test_quirks_can_be_asked_for(answer, tmp_path):
    quirks = chaos.Quirks(shared_series=answer, descending=answer, tilted=answer)
    chaos.write(tmp_path, 1, 0, quirks)
    folder = tmp_path / "Train_Sets" / "MR" / "1"
    uids = {one.SeriesInstanceUID for part in (INPHASE, OUTPHASE) for one in stack(folder / part)}
    assert len(uids) == (1 if answer else 2)
    assert bool(np.all(np.diff(heights(folder / INPHASE)) < 0)) == answer
    assert (float(stack(folder / "T2SPIR/DICOM_anon")[0].ImageOrientationPatient[5]) > 0) == answer


def test_converted_phantoms_are_called_so_and_check_clean(converted):
    names = sorted(path.name for path in converted.iterdir())
    assert names == ["phantom-acdc", "phantom-chaos-ct", "phantom-chaos-mr-t1", "phantom-chaos-mr-t2"]
    for name in names:
        assert check(converted / name) == []
        assert Dataset.load(converted / name).name == name


@pytest.mark.parametrize("name", ["phantom-chaos-mr-t1", "phantom-chaos-mr-t2"])
def test_organs_lie_on_the_right_side_of_the_patient(converted, name):
    dataset = Dataset.load(converted / name)
    for image, label in volumes(dataset):
        middle = {structure: np.argwhere(label == code).mean(0) for structure, code in dataset.labels.items()}
        assert middle["liver"][0] > middle["spleen"][0] + 0.2 * image.shape[0]  # RAS: x grows to the right
        assert middle["right kidney"][0] > middle["left kidney"][0] + 0.15 * image.shape[0]
        assert middle["liver"][1] > middle["right kidney"][1]  # further in front
        assert middle["liver"][2] > middle["right kidney"][2]  # further up
        assert 0.03 < (label == dataset.labels["liver"]).mean() < 0.12


def test_t2_fluid_rich_organs_are_brighter_than_what_surrounds_them(converted):
    dataset = Dataset.load(converted / "phantom-chaos-mr-t2")
    for image, label in volumes(dataset):
        for structure in ("left kidney", "right kidney", "spleen"):
            assert image[label == dataset.labels[structure]].mean() > 1.5 * image[label == 0].mean()


def test_the_right_ventricle_lies_to_the_right_and_blood_differs_from_muscle(converted):
    dataset = Dataset.load(converted / "phantom-acdc")
    for image, label in volumes(dataset):
        middle = {name: np.argwhere(label == code).mean(0) for name, code in dataset.labels.items()}
        assert middle["RV"][0] > middle["LV"][0]
        mean = {name: image[label == code].mean() for name, code in dataset.labels.items()}
        spread = image[label == dataset.labels["LV"]].std()
        assert abs(mean["LV"] - mean["MYO"]) > spread


@pytest.mark.parametrize(
    ("places", "step", "others"), [(216, 0.11, (20, 7)), (10, 0.6, (30,)), (5, 3.0, (4, 4)), (3, 0.1, ())]
)
def test_a_smooth_field_is_the_product_with_its_splines(places, step, others):
    basis = scan._spline_basis(places, step)
    field = np.random.default_rng(0).standard_normal((basis.shape[1], *others), dtype=np.float32)
    there = basis > 0
    assert np.allclose(basis.sum(1), 1, atol=1e-6) and there.sum(1).max() <= scan._KNOTS
    exact = np.tensordot(field.astype(float), basis.astype(float), axes=(0, 1))
    assert np.abs(scan._contracted(field, basis) - exact).max() < 1e-6


def test_made_up_patients_do_not_hang_on_how_a_processor_multiplies_matrices():
    draw = "from converters.phantoms import scan; rng = scan.generator(0); "
    draw += "print(scan.random_field(rng, (90, 80, 9), (1, 1, 8), 20).tobytes())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", draw], env=os.environ | {"OPENBLAS_CORETYPE": core}, capture_output=True, check=True
        ).stdout
        for core in ("Prescott", "Haswell", "")
    }
    assert len(seen) == 1 and len(seen.pop()) > 90 * 80 * 9
