"""Does nnU-Net take our folder as one of its raw datasets? `make oracles` installs it and runs this."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.unet import pooling
from converters.convert import convert
from converters.phantoms.acdc import write

pytest.importorskip("nnunetv2", reason="needs the extra [oracles]")


def accepted(dataset: Path, work: Path) -> str:
    """What nnU-Net says to a link to the dataset; fails where it refuses."""
    rooms = {name: work / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for room in rooms.values():
        room.mkdir()
    (rooms["nnUNet_raw"] / "Dataset901_ours").symlink_to(dataset.resolve(), target_is_directory=True)
    program = Path(sys.executable).parent / "nnUNetv2_plan_and_preprocess"
    words = [program, "-d", "901", "--verify_dataset_integrity", "--no_pp", "-npfp", "2"]
    environment = {**os.environ, **{name: str(room) for name, room in rooms.items()}}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (rooms["nnUNet_preprocessed"] / "Dataset901_ours" / "nnUNetPlans.json").is_file()
    return done.stdout


@pytest.mark.slow
def test_a_converted_phantom_is_a_raw_dataset_of_nnunet(tmp_path):
    write(tmp_path / "raw", 5, 0)
    report = convert("acdc", tmp_path / "raw", tmp_path / "data")[0]
    said = accepted(report.root, tmp_path)
    assert "verify_dataset_integrity Done" in said


@pytest.mark.slow
def test_converted_acdc_is_a_raw_dataset_of_nnunet(tmp_path):
    root = Path(os.environ.get("BENCH_DATA", "data")) / "acdc"
    if not root.is_dir():
        pytest.skip(f"no {root}: bench convert acdc RAW {root.parent}")
    assert "verify_dataset_integrity Done" in accepted(root, tmp_path)


@pytest.mark.parametrize(
    "spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (10.0, 1.25, 1.25), (1.5, 0.8, 0.8), (0.4, 1.0, 1.0)]
)
@pytest.mark.parametrize("patch", [(4, 64, 64), (8, 128, 128), (16, 192, 192), (64, 128, 96), (40, 56, 40)])
def test_axes_are_halved_as_nnunet_plans(patch, spacing):
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    strides = get_pool_and_conv_props(spacing, patch, 4, 99)[1][1:]
    still = ((1, 1, 1),) * (9 - len(strides))
    assert pooling(patch, spacing, 10) == (*(tuple(step) for step in strides), *still)
