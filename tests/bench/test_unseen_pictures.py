"""`bench predict` of pictures that no dataset holds: colours, and PNG with and without millimetres."""

import numpy as np
import pytest
from PIL import Image
from predicted import of_dataset, trained

from bench import unseen
from converters.convert import convert
from converters.dataset import Dataset
from converters.description import Channel
from converters.given import Reading, dataset_of
from converters.inputs import Inputs, inputs_of
from converters.phantoms import folder
from converters.preparation import Preparation


def test_pictures_in_colours_are_three_channels_of_one_file():
    channels = tuple(Channel(name=name, modality="OT") for name in ("red", "green", "blue"))
    inputs = Inputs(dataset="x", ndim=2, channels=channels, labels={"background": 0})
    (given,) = unseen.named(["a/b.png"], inputs)
    assert (given.name, given.files.keys()) == ("b", {"image"})


def test_of_a_picture_in_colours_a_model_takes_the_channels_that_were_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    (tmp_path / "raw" / "images").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "raw" / "images" / "a.png")
    lines = (
        'name = "again"',
        'licence = "CC0-1.0"',
        'citation = "nobody"',
        'modality = "OT"',
        "ndim = 2",
        "rgb = true",
    )
    (tmp_path / "raw" / "frugalseg.toml").write_text("\n".join((*lines, 'images = "images"')) + "\n")
    for kept in (("red",), ("blue", "red")):
        asked = Preparation(channels=kept)
        (report,) = convert("folder", tmp_path / "raw", tmp_path / "data", preparation=asked)
        inputs = inputs_of(Dataset.load(report.root))
        given = unseen.named([str(tmp_path / "raw" / "images" / "a.png")], inputs)
        made, _, failures = dataset_of(given, inputs, Reading(), tmp_path / report.name)
        (case,), (expected,) = made.cases, Dataset.load(report.root).cases
        assert failures == {} and tuple(case.images) == kept
        digests = [[image.data_sha256 for image in one.images.values()] for one in (case, expected)]
        assert digests[0] == digests[1]


@pytest.fixture(scope="module")
def lungs(tmp_path_factory):
    """Made-up PNG pictures, converted, and a model of them on a grid in mm."""
    room = tmp_path_factory.mktemp("lungs")
    folder.write(room / "raw", 2, 0)
    (report,) = convert("folder", room / "raw", room / "data")
    dataset = Dataset.load(report.root)
    model = trained(dataset, room / "model", patch=(32, 32), grid=(0.8, 0.6))
    return room / "raw", dataset, model, of_dataset(model, dataset, room / "expected")


def test_a_png_is_labelled_as_its_case_is_and_so_is_the_png_of_codes(lungs, bench, tmp_path):
    raw, dataset, model, expected = lungs
    files = sorted((raw / "images").iterdir())
    words = ("--spacing", "0.8,0.6", "--device", "cpu", "--to", "picture")
    done = bench("predict", model, *files, "--out", tmp_path / "out", *words)
    assert done.code == 0, done.err
    for file in files:
        case = next(case for case in dataset.cases if case.native_id == file.stem)
        grey = np.asarray(Image.open(tmp_path / "out" / file.name))
        assert grey.shape == np.asarray(Image.open(file)).shape[:2]
        # The converter turns columns and rows round.
        assert np.array_equal(grey.T[::-1, ::-1, None], expected[case.id].array)
    assert len(np.unique(grey)) > 1


def test_a_picture_without_millimetres_has_no_place_on_a_grid_in_mm(lungs, bench, tmp_path):
    raw, _, model, _ = lungs
    file = next((raw / "images").iterdir())
    done = bench("predict", model, file, "--out", tmp_path / "out", "--device", "cpu")
    assert done.code == 3 and "says nothing of millimetres" in done.err and "--spacing" in done.err
    assert not (tmp_path / "out").exists()
