"""`bench predict` of files that no dataset holds (docs/predict.md): label maps as for the same images in a dataset."""

import json

import numpy as np
import pytest
from predicted import of_dataset, trained
from tiny import tiny_dataset

from baselines.inputs import INPUTS
from baselines.predict import Setting, predict
from bench import unseen
from converters.convert import convert
from converters.dataset import Dataset
from converters.dicom import read_series
from converters.dicom_acquisition import other_modality
from converters.dicom_seg import read_segmentation
from converters.errors import UsageError
from converters.given import Given, Reading, Taken, as_given, dataset_of
from converters.inputs import inputs_of
from converters.phantoms import chaos
from converters.preparation import Preparation
from converters.volume import Volume, axis_codes, read_label, read_nifti, turned, write_nifti


@pytest.fixture(scope="module")
def hearts_model(tmp_path_factory):
    """A tiny dataset of hearts, a model of it, and its label maps."""
    room = tmp_path_factory.mktemp("hearts")
    dataset = tiny_dataset(room / "tiny", 4, shape=(24, 20, 3))
    model = trained(dataset, room / "model")
    return dataset, model, of_dataset(model, dataset, room / "expected")


def elsewhere(dataset, case, path, codes):
    """The image of a case as a file of its own, axes in another order."""
    volume = read_nifti(dataset.path(case.images["cine"].file))
    write_nifti(path, turned(volume, codes))
    return path


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR"])
def test_a_nifti_file_of_any_orientation_is_labelled_as_its_case_is(codes, hearts_model, bench, tmp_path):
    dataset, model, expected = hearts_model
    case = dataset.cases[1]
    file = elsewhere(dataset, case, tmp_path / "scan of somebody.nii.gz", codes)
    done = bench("predict", model, file, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0, done.err
    made = read_label(tmp_path / "out" / "scan of somebody.nii.gz")
    assert axis_codes(made.affine) == codes and made.same_grid(read_nifti(file))
    assert np.array_equal(turned(made, "RAS").array, expected[case.id].array)
    assert len(np.unique(made.array)) > 1


def test_flags_and_the_check_are_those_of_datasets(hearts_model, bench, tmp_path):
    dataset, model, _ = hearts_model
    case = dataset.cases[0]
    file = elsewhere(dataset, case, tmp_path / "a.nii.gz", "RAS")
    words = ("--device", "cpu", "--mirror", "--overlap", 0, "--check", "--json")
    done = bench("predict", "--model", model, file, "--out", tmp_path / "out", *words)
    told = json.loads(done.out)
    assert (done.code, told["files"], told["float32"]["differ"]) == (0, ["a.nii.gz"], 0)
    expected = of_dataset(model, dataset, tmp_path / "expected", mirror=True, overlap=0.0)
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array, expected[case.id].array)


def test_one_file_that_cannot_be_read_does_not_stop_the_others(hearts_model, bench, tmp_path):
    dataset, model, _ = hearts_model
    good = elsewhere(dataset, dataset.cases[0], tmp_path / "good.nii.gz", "RAS")
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(good.read_bytes()[:200])
    done = bench("predict", model, bad, good, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 3 and "bad.nii.gz" in done.err and "1 of 2 images" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.nii.gz"]
    done = bench("predict", model, bad, "--out", tmp_path / "none", "--device", "cpu")
    assert done.code == 3 and not (tmp_path / "none").exists()


def test_a_stack_along_another_axis_than_in_the_training_is_told(hearts_model, bench, tmp_path):
    model = hearts_model[1]
    sagittal = Volume(np.arange(4 * 20 * 20, dtype=np.int16).reshape(4, 20, 20), np.diag([8.0, 1.5, 1.5, 1.0]))
    write_nifti(tmp_path / "sagittal.nii.gz", sagittal)
    done = bench("predict", model, tmp_path / "sagittal.nii.gz", "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0
    assert "sagittal: its slices run right-left, those of the training foot-head" in done.err


def test_a_series_of_another_modality_is_told(hearts_model, bench, tmp_path):
    chaos.write(tmp_path / "raw", 2, 0)
    series = next((tmp_path / "raw").glob("Train_Sets/CT/*/DICOM_anon"))
    done = bench("predict", hearts_model[1], series, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0, done.err
    assert "DICOM_anon: cine: the file is CT, the channel MR" in done.err


@pytest.mark.parametrize(
    ("file", "channel", "told"),
    [("CT", "MR", True), ("MR", "US", True), ("CR", "DX", False), ("CT", "OT", False), ("", "CT", False)],
)
def test_modalities_are_told_apart_where_both_are_known(file, channel, told):
    assert bool(other_modality({"Modality": file} if file else {}, channel)) == told


def test_what_does_not_go_together_is_a_usage_error(hearts_model, bench, tmp_path):
    dataset, model, _ = hearts_model
    file = elsewhere(dataset, dataset.cases[0], tmp_path / "a.nii.gz", "RAS")
    cases = {
        "give either --dataset or images": (model,),
        "give either": (model, file, "--dataset", "tiny"),
        "no model is named": (),
        "there is no folder": (file, file),
        "--split is for --dataset": (model, file, "--split", "default"),
        "is no DICOM series": (model, file, "--to", "dicomseg"),
        "the label map of a volume is no picture": (model, file, "--to", "picture"),
        "is given twice": (model, file, file),
        "is no spacing": (model, file, "--spacing", "1,1"),
        "would be written over": (model, file, "--out", tmp_path),
    }
    for told, words in cases.items():
        done = bench("predict", "--out", tmp_path / "out", *words, "--device", "cpu")
        assert done.code == 2 and told in done.err, (told, done.err)
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_are_told_apart_by_their_folders(hearts_model, bench, tmp_path):
    dataset, model, _ = hearts_model
    files = [elsewhere(dataset, dataset.cases[n], tmp_path / f"p{n}" / "scan.nii.gz", "RAS") for n in (0, 1)]
    assert bench("predict", model, *files, "--out", tmp_path / "out", "--device", "cpu").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p0-scan.nii.gz", "p1-scan.nii.gz"]


def test_a_model_without_its_inputs_is_read_with_the_view_beside_it(hearts_model, bench, tmp_path):
    dataset, model, expected = hearts_model
    alone = tmp_path / "run" / "model"
    alone.mkdir(parents=True)
    for name in ("model.json", "model.safetensors"):
        (alone / name).write_bytes((model / name).read_bytes())
    file = elsewhere(dataset, dataset.cases[0], tmp_path / "a.nii.gz", "RAS")
    words = ("predict", alone, file, "--out", tmp_path / "out", "--device", "cpu")
    done = bench(*words)
    assert done.code == 3 and f"there is no {INPUTS}" in done.err
    (alone.parent / "view").symlink_to(dataset.root)
    assert bench(*words).code == 0
    assert np.array_equal(read_label(tmp_path / "out" / "a.nii.gz").array, expected["s00-ed"].array)


def test_preparation_of_the_training_is_made_of_a_file_too_and_undone(hearts_model, tmp_path):
    dataset, _, _ = hearts_model
    raw, asked = tmp_path / "raw" / "images", Preparation(spacing=(2.0, 2.0, 8.0), median=3)
    for case in dataset.cases[:4]:
        elsewhere(dataset, case, raw / f"{case.id}.nii.gz", "LAS")
    lines = ('name = "again"', 'licence = "CC0-1.0"', 'citation = "nobody"', 'modality = "MR"', "ndim = 3")
    (raw.parent / "frugalseg.toml").write_text("\n".join((*lines, 'images = "images"')) + "\n")
    (report,) = convert("folder", raw.parent, tmp_path / "data", preparation=asked)
    prepared = Dataset.load(report.root)
    inputs = inputs_of(prepared)
    given = unseen.named([str(raw / "s01-ed.nii.gz")], inputs)
    made, (taken,), failures = dataset_of(given, inputs, Reading(), tmp_path / "scratch")
    case = prepared.case("s01-ed")
    assert failures == {} and made.cases[0].geometry == case.geometry
    assert made.cases[0].images["image"].data_sha256 == case.images["image"].data_sha256
    back = as_given(Volume(np.ones(case.geometry.shape, np.uint8), np.array(case.geometry.affine)), taken)
    assert back.same_grid(read_nifti(raw / "s01-ed.nii.gz"))


def test_a_resampled_image_comes_back_linearly_to_the_edges_and_a_label_map_by_nearest_voxel(hearts_model):
    dataset, _, _ = hearts_model
    # Eleven voxels of 1 mm were made two of 4.5 mm, so the outermost lie beyond what was predicted.
    file = Taken(Given("a", {}), dataset.cases[0], (11, 4, 1), np.eye(4), ())
    coarse = np.diag([4.5, 1.0, 1.0, 1.0])
    coarse[0, 3] = 2.75
    picture = np.broadcast_to(np.float32([2.75, 7.25])[:, None, None], (2, 4, 1))
    back = as_given(Volume(picture, coarse), file)
    assert back.array.dtype == np.float32 and back.same_grid(Volume(np.zeros((11, 4, 1)), np.eye(4)))
    np.testing.assert_allclose(back.array[:, 2, 0], np.clip(np.arange(11), 2.75, 7.25), rtol=1e-6)
    codes = as_given(Volume(np.ceil(picture / 4).astype(np.uint8) * 100, coarse), file)
    assert codes.array.dtype == np.uint8
    assert codes.array[:, 2, 0].tolist() == [0, *[100] * 5, *[200] * 4, 0]


def test_an_image_that_is_predicted_lies_on_the_grid_of_its_file_and_the_model_can_be_exported(
    hearts_model, bench, tmp_path
):
    dataset, _, _ = hearts_model
    case = dataset.cases[0]
    model = trained(dataset, tmp_path / "model", "autoencoder", steps=2)
    predict(model, dataset, [case], tmp_path / "expected", Setting())
    done = bench("export-model", model, tmp_path / "exported", "--to", "huggingface", "--device", "cpu")
    assert done.code == 0 and "predicts autoencoder" in (tmp_path / "exported" / "README.md").read_text()
    file = elsewhere(dataset, case, tmp_path / "a.nii.gz", "LSA")
    words = (tmp_path / "exported", file, "--device", "cpu")
    assert bench("predict", *words, "--out", tmp_path / "out").code == 0
    made, expected = read_nifti(tmp_path / "out" / "a.nii.gz"), read_nifti(tmp_path / "expected" / f"{case.id}.nii.gz")
    assert made.array.dtype == np.float32 and made.same_grid(read_nifti(file))
    assert np.array_equal(turned(made, "RAS").array, expected.array)
    done = bench("predict", *words, "--out", tmp_path / "dicom", "--to", "picture")
    assert done.code == 2


@pytest.fixture(scope="module")
def abdomens(tmp_path_factory):
    """Made-up CHAOS patients as DICOM series, converted, and a model of both phases."""
    room = tmp_path_factory.mktemp("chaos")
    chaos.write(room / "raw", 1, 0)
    (report,) = convert("chaos", room / "raw", room / "data", only=("chaos-mr-t1",))
    dataset = Dataset.load(report.root)
    model = trained(dataset, room / "model", patch=(32, 32), grid=(4.0, 4.0))
    return room / "raw", dataset, model, of_dataset(model, dataset, room / "expected")


def test_dicom_series_of_several_channels_are_labelled_as_their_case_is(abdomens, bench, tmp_path):
    raw, dataset, model, expected = abdomens
    study = next(raw.glob("Train_Sets/MR/*/T1DUAL/DICOM_anon"))
    words = [f"out-phase={study / 'OutPhase'}", f"in-phase={study / 'InPhase'}"]  # in any order
    done = bench("predict", model, *words, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0, done.err
    made = read_label(tmp_path / "out" / "InPhase.nii.gz")
    (case,) = dataset.cases
    assert np.array_equal(turned(made, "RAS").array, expected[case.id].array)
    assert axis_codes(made.affine) == case.geometry.source_orientation
    assert len(np.unique(made.array)) > 1


def test_a_dicom_series_gets_a_segmentation_that_reads_back_as_its_label_map(abdomens, bench, tmp_path):
    pytest.importorskip("highdicom", reason="needs the extra [dicomseg]")
    from pydicom import dcmread

    raw, dataset, model, expected = abdomens
    study = next(raw.glob("Train_Sets/MR/*/T1DUAL/DICOM_anon"))
    words = (f"in-phase={study / 'InPhase'}", f"out-phase={study / 'OutPhase'}", "--to", "dicomseg")
    done = bench("predict", model, *words, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 0, done.err
    found = read_segmentation(tmp_path / "out" / "InPhase.dcm", read_series(sorted((study / "InPhase").iterdir())))
    label = expected[dataset.cases[0].id].array
    assert list(found) == ["liver", "right kidney", "left kidney", "spleen"]
    for name, code in dataset.labels.items():
        assert np.array_equal(turned(found[name], "RAS").array, label == code)
    concepts = {
        segment.SegmentLabel: segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        for segment in dcmread(tmp_path / "out" / "InPhase.dcm").SegmentSequence
    }
    assert concepts == {name: info.snomed for name, info in dataset.file.bench.label_info.items()}


def test_a_series_that_no_segmentation_can_refer_to_does_not_stop_the_others(abdomens, bench, tmp_path):
    pytest.importorskip("highdicom", reason="needs the extra [dicomseg]")
    from pydicom import dcmread

    raw, _, model, _ = abdomens
    study = next(raw.glob("Train_Sets/MR/*/T1DUAL/DICOM_anon"))
    words = []
    for name in ("InPhase", "OutPhase"):
        for file in sorted((study / name).iterdir()):
            header = dcmread(file)
            del header.FrameOfReferenceUID
            (tmp_path / "bare" / name).mkdir(parents=True, exist_ok=True)
            header.save_as(tmp_path / "bare" / name / file.name)
    for scan in (tmp_path / "bare", study):
        words += [f"in-phase={scan / 'InPhase'}", f"out-phase={scan / 'OutPhase'}"]
    options = ("--to", "dicomseg", "--out", tmp_path / "out", "--device", "cpu")
    done = bench("predict", model, *words, *options)
    assert done.code == 3, done.err
    assert "no Frame Of Reference UID" in done.err and "1 of 2 images" in done.err
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 1
    assert bench("predict", model, *words[:2], *options[:3], tmp_path / "none", *options[4:]).code == 3
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.nii.gz"], "names no channel; the model reads in-phase, out-phase"),
        (["in-phase=a", "in-phase=b"], "channel in-phase comes twice before there is one for out-phase"),
        (["in-phase=a"], "the last image has no file for out-phase"),
    ],
)
def test_a_channel_too_few_or_too_many_is_refused(words, told, abdomens):
    with pytest.raises(UsageError, match=told):
        unseen.named(words, inputs_of(abdomens[1]))
