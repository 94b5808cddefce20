"""Do nnU-Net 2 and MONAI take our exports? `make oracles` installs them and runs this."""

import json

import numpy as np
import pytest
from test_nnunet import accepted

from bench.protocols import parse
from bench.splits import freeze_default
from bench.views import view
from converters.convert import convert
from converters.dataset import Dataset
from converters.export import export
from converters.phantoms import acdc, chaos, nnunet
from converters.volume import read_label


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """ACDC and its scribble view, CHAOS T1 with two channels, nested regions."""
    room = tmp_path_factory.mktemp("made")
    chaos.write(room / "chaos", 5, 0)
    acdc.write(room / "acdc", 6, 0)
    nnunet.write(room / "nnunet", 6, 0)
    reports = [report for name in ("chaos", "acdc", "nnunet") for report in convert(name, room / name, room / "data")]
    found = {report.name.removeprefix("phantom-"): Dataset.load(report.root) for report in reports}
    for dataset in found.values():
        freeze_default(dataset)
    found["scribble"] = view(found["acdc"], found["acdc"].split("default"), parse("scribble"), 0, room / "views" / "s")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "split"), [("acdc", "default"), ("scribble", None), ("chaos-mr-t1", None), ("nested", "default")]
)
def test_nnunet_verifies_and_plans_an_export(made, tmp_path, name, split):
    pytest.importorskip("nnunetv2", reason="needs the extra [oracles]")
    export("nnunet", made[name], tmp_path / "Dataset777_ours", split)
    said = accepted(tmp_path / "Dataset777_ours", tmp_path)
    assert "verify_dataset_integrity Done" in said and "Error" not in said and "Warning" not in said
    taken = tmp_path / "nnUNet_preprocessed" / "Dataset901_ours" / "splits_final.json"
    assert taken.is_file() == (split is not None)


def test_nnunet_paints_regions_back_into_our_codes(made, tmp_path):
    """Its own label manager, fed with the regions that a perfect network would give."""
    handling = pytest.importorskip("nnunetv2.utilities.label_handling.label_handling", reason="needs [oracles]")
    export("nnunet", made["nested"], tmp_path / "Dataset777_ours")
    top = json.loads((tmp_path / "Dataset777_ours" / "dataset.json").read_text())
    manager = handling.LabelManager(top["labels"], top["regions_class_order"])
    for path in (tmp_path / "Dataset777_ours" / "labelsTr").iterdir():
        label = read_label(path).array
        logits = np.stack([np.where(np.isin(label, region), 9.0, -9.0) for region in manager.foreground_regions])
        np.testing.assert_array_equal(manager.convert_logits_to_segmentation(logits.astype(np.float32)), label)


@pytest.mark.parametrize(("name", "split"), [("acdc", "default"), ("scribble", None), ("chaos-mr-t1", None)])
def test_monai_reads_a_decathlon_export(made, tmp_path, name, split):
    data = pytest.importorskip("monai.data", reason="needs the extra [peers]")
    from monai.transforms import LoadImage

    export("msd", made[name], tmp_path / "Task77_ours", split)
    path = tmp_path / "Task77_ours" / "dataset.json"
    keys = ["name", "description", "reference", "licence", "release", "tensorImageSize", "modality", "labels"]
    told = data.load_decathlon_properties(path, [*keys, "numTraining", "numTest"])
    sides = [side for side in ("training", "validation") if side in json.loads(path.read_text())]
    lists = {side: data.load_decathlon_datalist(path, True, side) for side in sides}
    assert len(lists["training"]) == told["numTraining"]
    assert ("validation" in lists) == (split is not None)
    for entries in lists.values():
        assert data.check_missing_files(entries, ["image", "label"]) == []
    if told["numTest"]:
        tests = data.load_decathlon_datalist(path, True, "test")
        assert len(tests) == told["numTest"] and data.check_missing_files(tests, "image") == []
    load = LoadImage(image_only=True, ensure_channel_first=True)
    first = lists["training"][0]
    image, label = load(first["image"]), load(first["label"])
    assert image.shape[0] == len(told["modality"]) and image.shape[1:] == label.shape[1:]
    assert set(np.unique(label).astype(int).astype(str)) <= set(told["labels"])
