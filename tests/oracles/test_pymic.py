"""PyMIC's own loader and parser read what `bench export --to pymic` writes."""

import configparser

import numpy as np
import pytest
from tiny import LABELS, tiny_dataset

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.dataset import IGNORE
from converters.export import export
from converters.volume import read_label, read_nifti

loader = pytest.importorskip("pymic.io.nifty_dataset", reason="PyMIC is not installed")


@pytest.fixture
def hearts(tmp_path):
    dataset = tiny_dataset(tmp_path / "data", 6, shape=(9, 8, 4), unlabelled=1, scribbles=True)
    freeze_default(dataset)
    return dataset


def test_its_loader_gives_our_voxels(hearts, tmp_path):
    export("pymic", hearts, tmp_path / "out", "default")
    seen = 0
    for side in ("train", "valid", "test", "train_unlab"):
        read = loader.NiftyDataset(str(tmp_path / "out"), str(tmp_path / "out" / f"{side}.csv"))
        for number in range(len(read)):
            sample, seen = read[number], seen + 1
            case = hearts.case(sample["names"][0][7:-12])
            image = read_nifti(hearts.path(case.images["cine"].file)).array
            assert np.array_equal(sample["image"][0].transpose(2, 1, 0), image)
            assert ("label" in sample) == (side in ("train", "valid"))
            if "label" in sample:
                assert np.array_equal(
                    sample["label"][0].transpose(2, 1, 0), read_label(hearts.path(case.label.file)).array
                )
    assert seen == len(hearts.cases)


def test_it_gives_no_weight_to_what_nobody_annotated(hearts, tmp_path):
    from pymic.transform.label_convert import PartialLabelToProbability

    strokes = view(hearts, hearts.split("default"), parse("scribble"), 0, tmp_path / "strokes")
    export("pymic", strokes, tmp_path / "out")
    sample = loader.NiftyDataset(str(tmp_path / "out"), str(tmp_path / "out" / "train.csv"))[0]
    shown = read_label(strokes.path(strokes.case(sample["names"][0][7:-12]).label.file)).array
    classes = {"partiallabeltoprobability_class_num": len(LABELS), "task": 1, "task_type": 1}
    weighed = PartialLabelToProbability(classes)(sample)
    assert np.array_equal(weighed["pixel_weight"][0].transpose(2, 1, 0), shown != IGNORE)
    assert np.array_equal(weighed["label_prob"][2].transpose(2, 1, 0), shown == 2)


def test_its_parser_takes_our_values_for_what_they_are(hearts, tmp_path):
    from pymic.util.parse_config import parse_value_from_string

    export("pymic", hearts, tmp_path / "out", "default")
    config = configparser.ConfigParser()
    config.read(tmp_path / "out" / "pymic.cfg")
    values = {key: parse_value_from_string(value) for part in config.sections() for key, value in config[part].items()}
    assert (values["class_num"], values["in_chns"], values["modal_num"]) == (4, 1, 1)
    assert values["train_dir"] == values["root_dir"] == "./" and values["valid_csv"] == "valid.csv"
