"""Model + images -> label maps on the original grid, or another task's answers: work goes on beside the computation."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.ahead import at, prefetch
from baselines.answers import answered, pictured, write_answer, write_pictures
from baselines.cache import read_image
from baselines.config import PredictConfig
from baselines.device import settings
from baselines.grid import faced, network_axes, network_size, normalise, resample, to_case
from baselines.meter import Meter, Tally, cost, macs
from baselines.method import Method
from baselines.model import ModelSpec, compile_networks, load_model
from baselines.nets import networks
from baselines.values import Value
from baselines.windows import DEFAULT, Patch, Windows, labels_at, pass_of
from converters.dataset import Case, Dataset
from converters.errors import BenchError, EnvironmentFault
from converters.volume import Volume, write_nifti
from leaderboards.record import Cost


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where prediction runs, and how."""

    device: str = "cpu"
    plugin: Path | None = None
    progress: Callable[[int, int], None] | None = None  # called with (case, cases)
    config: PredictConfig = DEFAULT
    unread: Callable[[str, BenchError], None] | None = None  # told of a case that cannot be read; None: it is raised


def predict(model: Path, dataset: Dataset, cases: Sequence[Case], out: Path, setting: Setting) -> Cost:
    """Write `out/<case>.nii.gz`, or `out/<case>.json`, for every case. Reads images alone, never a label.

    Where `setting.unread` is told of damaged files, the other cases are predicted, and the cost counts these.

    Raises:
        BenchError: the dataset lacks a channel the model was trained on, or a file is damaged and nobody is told.
        EnvironmentFault: not even one window fits into memory.
    """
    device = torch.device(setting.device)
    method, spec, precision = opened(model, dataset, setting)
    cases = [faced(case, spec.config) for case in cases]
    with settings(spec.config, device), torch.inference_mode(), ThreadPoolExecutor(1) as beside:
        meter = Meter(device, Tally(), warmup=0)
        windows = windows_of(method, spec, setting.config, device)
        # The next case is read, and the last one written, while this one is computed.
        images = prefetch(partial(_image, partial(case_image, spec, dataset, meter), setting), cases, ahead=1)
        written = beside.submit(lambda: None)
        for number, (case, image) in enumerate(zip(cases, images, strict=True), 1):
            if image is not None:
                write = made(windows, image.to(device), case, meter)
                written.result()
                written = beside.submit(write, out, case)
                meter.tick(1, math.prod(case.geometry.shape))
            if setting.progress is not None:
                setting.progress(number, len(cases))
        written.result()
        tally = meter.tally()
        one = torch.zeros(1, spec.net.in_channels, *spec.config.patch, device=device)
        return cost(tally, device, windows.batch, precision, macs=macs(method, one) or None)


def opened(model: Path, dataset: Dataset, setting: Setting) -> tuple[Method, ModelSpec, str]:
    """A saved model on the device, in the precision asked for, which is given as well.

    Raises:
        BenchError: the dataset lacks a channel the model was trained on.
    """
    method, spec = load_model(model, torch.device(setting.device), setting.plugin)
    if dataset.channels != spec.channels:
        raise BenchError(f"the model reads channels {list(spec.channels)}, {dataset.name} has {list(dataset.channels)}")
    precision = "fp32" if setting.config.precision == "fp32" else spec.config.precision
    for network in networks(method):
        network.precision = precision
    return method, spec, precision


def windows_of(method: Method, spec: ModelSpec, config: PredictConfig, device: torch.device) -> Windows:
    """What computes logits window by window; networks are compiled where the training said so, not by themselves.

    Compiling takes longer than most test sets do.
    """
    edges = (1,) * (3 - len(spec.config.patch)) + spec.config.patch
    patch: Patch = edges[0], edges[1], edges[2]
    filled = device.type == "cuda"
    if spec.config.compile is True:
        filled = compile_networks(method, spec.config, device)
    return Windows(method, patch, config, pass_of(patch, device), filled)


def case_image(spec: ModelSpec, dataset: Dataset, meter: Meter, case: Case) -> Tensor:
    """The case on the network's grid. Shape: (C, D, H, W) float32."""
    at(f"case {case.id}")
    with meter.stage("read"):
        voxels = read_image(dataset, case)
    with meter.stage("preprocess"):
        image = normalise(voxels, spec.config.window, spec.config.intensity)
        return resample(image, network_size(case.geometry, spec.config))


def _image(read: Callable[[Case], Tensor], setting: Setting, case: Case) -> Tensor | None:
    """What is read of a case; None where that cannot be done and somebody is told."""
    try:
        return read(case)
    except (BenchError, FileNotFoundError) as error:
        if setting.unread is None or isinstance(error, EnvironmentFault):
            raise
        if not isinstance(error, BenchError):
            error = BenchError(f"{case.id}: there is no {error.filename}", mend="convert again")
        setting.unread(case.id, error)
        return None


def made(windows: Windows, image: Tensor, case: Case, meter: Meter) -> Callable[[Path, Case], None]:
    """What is predicted of one case, as the function that writes it into a folder. Shape of image: (C, D, H, W)."""
    goal = windows.method.goal
    if goal is None:
        return partial(write_case, labels=predict_case(windows, image, case, meter), meter=meter)
    if isinstance(goal, Value):
        return partial(write_answer, answer=answered(windows, goal, image, meter), meter=meter)
    return partial(write_pictures, pictures=pictured(windows, goal.given(image), case, meter), meter=meter)


def predict_case(windows: Windows, image: Tensor, case: Case, meter: Meter) -> npt.NDArray[np.uint8]:
    """The label map of one case on its own grid.

    Shape: image (C, D, H, W) on the network's grid, on the device -> (X, Y, Z) uint8.
    """
    found = []
    for logits, size in _slabs(windows, image, case, meter):
        with meter.stage("postprocess"):
            found.append(labels_at(logits, size).cpu())
    with meter.stage("postprocess"):
        return np.asarray(to_case(torch.cat(found).numpy(), case.geometry), np.uint8)


def case_probabilities(windows: Windows, image: Tensor, case: Case, meter: Meter) -> npt.NDArray[np.float32]:
    """Softmax of one case on its own grid; the largest of a voxel is that of `predict_case`.

    Shape: image (C, D, H, W) on the network's grid, on the device -> (K, X, Y, Z) float32, RAS+.
    """
    found = []
    for logits, size in _slabs(windows, image, case, meter):
        with meter.stage("postprocess"):
            found.append(resample(logits, size).softmax(0).cpu())
    with meter.stage("postprocess"):
        soft = torch.cat(found, 1).numpy()
        return np.stack([np.asarray(to_case(values, case.geometry), np.float32) for values in soft])


def _slabs(windows: Windows, image: Tensor, case: Case, meter: Meter) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Logits of slabs of whole slices, in order, each with its size on the case's own grid.

    A 2D network keeps every slice; a 3D one gives them all at once.
    """
    depth, *plane = (case.geometry.shape[axis] for axis in network_axes(case.geometry))
    slabs = windows.logits(image)
    while True:
        with meter.stage("forward", synchronise=True):
            logits = next(slabs, None)
        if logits is None:
            return
        yield logits, (logits.shape[1] if windows.flat else depth, *plane)


def write_case(out: Path, case: Case, labels: npt.NDArray[np.uint8], meter: Meter) -> None:
    """Write `out/<case>.nii.gz`."""
    with meter.stage("write"):
        write_nifti(out / f"{case.id}.nii.gz", Volume(labels, np.array(case.geometry.affine)))
