"""How fast a model predicts: a whole case in its stages, and a 2D network image by image and in large batches."""

import math
import statistics
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from baselines.device import settings
from baselines.grid import faced
from baselines.meter import Meter, Tally, cost, macs
from baselines.method import Method
from baselines.predict import Setting, case_image, opened, predict_case, windows_of, write_case
from baselines.trace import timed
from converters.dataset import Case, Dataset
from converters.files import Strict
from leaderboards.record import Cost

_ONE_BY_ONE = 50  # images at batch 1
_LARGEST = {"cpu": 16, "cuda": 4096}  # images a batch: no larger one is tried


class Images(Strict):
    """A 2D network alone, on images of the patch's size: no reading, no resampling."""

    p50_ms: float  # one image at a time
    p90_ms: float
    batch: int  # the largest that fits, or that was tried
    batch_images_per_s: float


class Prediction(Strict):
    """What was measured of a prediction."""

    case: str
    shape: tuple[int, ...]
    cost: Cost  # of the second of two, stage after stage: its files are in memory and the network is warm
    images: Images | None  # None for a 3D network


def prediction(model: Path, dataset: Dataset, case: Case, out: Path, setting: Setting) -> Prediction:
    """Predict a case twice into `out`, no stage beside another, and measure the second; then a 2D network alone.

    Raises:
        BenchError: the dataset lacks a channel the model was trained on, or a file is damaged.
    """
    device = torch.device(setting.device)
    method, spec, precision = opened(model, dataset, setting)
    case = faced(case, spec.config)
    one = torch.zeros(1, spec.net.in_channels, *spec.config.patch, device=device)
    with settings(spec.config, device), torch.inference_mode():
        windows = windows_of(method, spec, setting.config, device)
        for _ in range(2):
            meter = Meter(device, Tally(), warmup=0)
            image = case_image(spec, dataset, meter, case).to(device)
            write_case(out, case, predict_case(windows, image, case, meter), meter)
            meter.tick(1, math.prod(case.geometry.shape))
            tally = meter.tally()
        return Prediction(
            case=case.id,
            shape=case.geometry.shape,
            cost=cost(tally, device, windows.batch, precision, macs=macs(method, one)),
            images=images(method, one) if len(spec.config.patch) == 2 else None,
        )


def images(method: Method, one: Tensor) -> Images:
    """Milliseconds of an image at batch 1, and images a second in the largest batch.

    Shape: one (1, C, H, W), on the device.
    """
    alone = sorted(timed(partial(method.logits, one), one.device, _ONE_BY_ONE))
    many = _repeated(one, _largest(method, one))
    seconds = statistics.median(timed(partial(method.logits, many), one.device, 3))
    return Images(
        p50_ms=_rank(alone, 50),
        p90_ms=_rank(alone, 90),
        batch=len(many),
        batch_images_per_s=round(len(many) / seconds, 1),
    )


def _largest(method: Method, one: Tensor) -> int:
    """The largest batch that fits, of powers of two. Nothing is compiled for those that are tried on the way."""
    fits = 1
    with torch.compiler.set_stance("force_eager"):
        while 2 * fits <= _LARGEST[one.device.type]:
            try:
                method.logits(_repeated(one, 2 * fits))
            except RuntimeError:  # no memory, or more voxels than a kernel can count: bilinear resizing ends at 2^31
                torch.cuda.empty_cache()
                break
            fits *= 2
    return fits


def _repeated(one: Tensor, batch: int) -> Tensor:
    return one.repeat(batch, *[1] * (one.ndim - 1))


def _rank(ordered: list[float], share: int) -> float:
    """A percentile by nearest rank, in ms."""
    return round(ordered[math.ceil(len(ordered) * share / 100) - 1] * 1000, 3)
