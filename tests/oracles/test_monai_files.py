"""MONAI's own SaveImage writes predictions; `bench score` finds them and reads every voxel where it lies."""

import numpy as np
import pytest
from tiny import tiny_dataset

from bench.splits import freeze_default
from converters.volume import read_label

transforms = pytest.importorskip("monai.transforms", reason="needs the extra [peers]")


@pytest.fixture
def hearts(tmp_path):
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 10)
    freeze_default(dataset)
    return dataset


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"output_postfix": "seg", "separate_folder": False},
        {"output_postfix": "pred", "writer": "NibabelWriter", "output_dtype": np.uint8},
        {"output_postfix": "", "separate_folder": False},
    ],
    ids=["as it comes", "flat", "nibabel", "bare"],
)
def test_label_maps_saved_by_monai_score_as_they_are(bench, hearts, tmp_path, how):
    from monai.data import MetaTensor

    read = transforms.LoadImage(image_only=True, ensure_channel_first=True)
    save = transforms.SaveImage(output_dir=tmp_path / "out", print_log=False, **how)
    for case in hearts.only(hearts.split("default").test).cases:
        image = read(hearts.root / case.images["cine"].file)
        label = read_label(hearts.root / case.label.file).array.astype(np.float32)
        save(MetaTensor(label[None], affine=image.affine, meta=image.meta))
    done = bench("score", tmp_path / "out", hearts.root, "--method", "theirs", "--out", tmp_path / "record", "--json")
    assert done.code == 0, done.err
    assert done.out.count('"dice:v1":1.0') == 12
