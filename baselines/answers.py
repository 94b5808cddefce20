"""What a model says of a case where it is no label map: one value, or an image on the case's own grid."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.grid import network_axes, resample, to_case
from baselines.meter import Meter
from baselines.values import Answer, Value
from baselines.windows import Windows
from converters.dataset import Case
from converters.files import write_json
from converters.volume import Volume, write_nifti

Picture = npt.NDArray[np.float32]


def answered(windows: Windows, goal: Value, image: Tensor, meter: Meter) -> Answer:
    """The value of one case: the mean over its windows. Shape: (C, D, H, W) on the network's grid, on the device."""
    with meter.stage("forward", synchronise=True):
        outputs = torch.stack(list(windows.answers(image)))
    with meter.stage("postprocess"):
        return goal.answer(outputs.cpu())


def pictured(windows: Windows, image: Tensor, case: Case, meter: Meter) -> list[Picture]:
    """The image of one case, channel by channel, in normalised intensities.

    Shape: image (C, D, H, W) on the network's grid, on the device, as the network is given it -> C times (X, Y, Z).
    """
    size = [case.geometry.shape[axis] for axis in network_axes(case.geometry)]
    with meter.stage("forward", synchronise=True):
        whole = torch.cat([slab.cpu() for slab in windows.logits(image)], 1)
    with meter.stage("postprocess"):
        voxels = resample(whole, size).numpy()
        return [np.asarray(to_case(channel, case.geometry), np.float32) for channel in voxels]


def write_answer(out: Path, case: Case, answer: Answer, meter: Meter) -> None:
    """Write `out/<case>.json`."""
    with meter.stage("write"):
        write_json(out / f"{case.id}.json", answer)


def write_pictures(out: Path, case: Case, pictures: Sequence[Picture], meter: Meter) -> None:
    """Write `out/<case>.nii.gz`; of several channels `out/<case>_0000.nii.gz` and so on, in their order."""
    names = [case.id] if len(pictures) == 1 else [f"{case.id}_{number:04d}" for number in range(len(pictures))]
    with meter.stage("write"):
        for name, voxels in zip(names, pictures, strict=True):
            write_nifti(out / f"{name}.nii.gz", Volume(voxels, np.array(case.geometry.affine)))
