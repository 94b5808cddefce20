"""Model + images -> label maps on the original grid: one sliding window, of thickness 1 for a 2D network."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.cache import read_image
from baselines.device import settings
from baselines.grid import network_axes, network_size, normalise, resample, to_case
from baselines.meter import Meter, Tally, cost
from baselines.method import Method
from baselines.model import ModelSpec, load_model
from baselines.sampler import prefetch
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.volume import Volume, write_nifti
from leaderboards.record import Cost

BATCH = 16  # windows per forward pass
OVERLAP = 0.5  # of the patch edge, between neighbouring windows


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where prediction runs."""

    device: str = "cpu"
    plugin: Path | None = None
    progress: Callable[[int, int], None] | None = None  # called with (case, cases)


def predict(model: Path, dataset: Dataset, cases: Sequence[Case], out: Path, setting: Setting) -> Cost:
    """Write `out/<case>.nii.gz` for every case. Reads images alone, never a label.

    Raises:
        BenchError: the dataset lacks a channel the model was trained on, or a file is damaged.
    """
    device = torch.device(setting.device)
    method, spec = load_model(model, device, setting.plugin)
    if dataset.channels != spec.channels:
        raise BenchError(f"the model reads channels {list(spec.channels)}, {dataset.name} has {list(dataset.channels)}")
    with settings(spec.config, device), torch.inference_mode(), ThreadPoolExecutor(1) as beside:
        meter = Meter(device, Tally(), warmup=0)
        # The next case is read, and the last one written, while this one is computed.
        images = prefetch(partial(_image, spec, dataset), cases, ahead=1)
        written = beside.submit(lambda: None)
        for number, (case, image) in enumerate(zip(cases, images, strict=True), 1):
            labels = predict_case(method, spec, image.to(device), case)
            written.result()
            written = beside.submit(_write, out, case, labels)
            meter.tick(1)
            if setting.progress is not None:
                setting.progress(number, len(cases))
        written.result()
        return cost(meter.tally(), device, BATCH, spec.config.precision)


def _image(spec: ModelSpec, dataset: Dataset, case: Case) -> Tensor:
    """The case on the network's grid. Shape: (C, D, H, W) float32."""
    image = normalise(read_image(dataset, case), spec.config.window)
    return resample(image, network_size(case.geometry, spec.config))


def predict_case(method: Method, spec: ModelSpec, image: Tensor, case: Case) -> npt.NDArray[np.uint8]:
    """The label map of one case on its own grid.

    Shape: image (C, D, H, W) on the network's grid, on the device -> (X, Y, Z) uint8.
    """
    logits = sliding_logits(method, image, _patch(spec))
    shape = [case.geometry.shape[axis] for axis in network_axes(case.geometry)]
    labels = resample(logits, shape).argmax(0).to(torch.uint8).cpu().numpy()
    return np.asarray(to_case(labels, case.geometry), np.uint8)


def _write(out: Path, case: Case, labels: npt.NDArray[np.uint8]) -> None:
    write_nifti(out / f"{case.id}.nii.gz", Volume(labels, np.array(case.geometry.affine)))


def sliding_logits(method: Method, image: Tensor, patch: tuple[int, int, int]) -> Tensor:
    """Blend the logits of overlapping windows, each weighted by a Gaussian about its centre.

    Shape: image (C, D, H, W), patch (1, h, w) for a 2D network -> (K, D, H, W) float32.
    """
    flat = patch[0] == 1
    size = image.shape[1:]
    image = torch.nn.functional.pad(image[None], _missing(size, patch), mode="replicate")[0]
    weight = _gaussian(patch).to(image.device)
    total, weights = None, torch.zeros(image.shape[1:], device=image.device)
    starts = list(_starts(image.shape[1:], patch))
    for chunk in (starts[first : first + BATCH] for first in range(0, len(starts), BATCH)):
        places = [tuple(slice(s, s + edge) for s, edge in zip(start, patch, strict=True)) for start in chunk]
        windows = torch.stack([image[(slice(None), *place)] for place in places])
        logits = method.logits(windows[:, :, 0] if flat else windows)
        logits = logits[:, :, None] if flat else logits
        if total is None:
            total = torch.zeros((logits.shape[1], *image.shape[1:]), device=image.device)
        for place, values in zip(places, logits, strict=True):
            total[(slice(None), *place)] += values * weight
            weights[place] += weight
    assert total is not None  # every image has at least one window
    return (total / weights)[(slice(None), *(slice(0, s) for s in size))]


def _patch(spec: ModelSpec) -> tuple[int, int, int]:
    edges = (1,) * (3 - len(spec.config.patch)) + spec.config.patch
    return edges[0], edges[1], edges[2]


def _starts(size: Sequence[int], patch: Sequence[int]) -> Iterator[tuple[int, ...]]:
    axes = []
    for length, edge in zip(size, patch, strict=True):
        count = 1 + max(0, -(-(length - edge) // max(1, int(edge * (1 - OVERLAP)))))
        axes.append(sorted({round(s) for s in np.linspace(0, length - edge, count)}))
    yield from itertools.product(*axes)


def _missing(size: Sequence[int], patch: Sequence[int]) -> list[int]:
    """Padding at the end of each axis that is shorter than the patch, last axis first as torch wants it."""
    return [n for s, edge in zip(reversed(size), reversed(patch), strict=True) for n in (0, max(0, edge - s))]


def _gaussian(patch: Sequence[int]) -> Tensor:
    """Weight of each voxel of a window: Gaussian with SD an eighth of the edge, never below 1 % of the peak."""
    weight = torch.ones(())
    for edge in patch:
        offset = torch.arange(edge) - (edge - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (offset / (edge / 8)) ** 2)
    return weight.clamp(min=0.01 * float(weight.max()))
