"""How fast a model predicts: a whole case in its stages, and a 2D network image by image and in large batches."""

import itertools
import math
import statistics
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from baselines.device import settings
from baselines.method import Method
from baselines.model import load_model
from baselines.predict import Setting, predict
from baselines.trace import timed
from converters.dataset import Case, Dataset
from converters.files import Strict
from leaderboards.record import Cost

_ONE_BY_ONE = 50  # images at batch 1
_LARGE = {"cpu": 16, "cuda": 4096}  # images a batch: no larger one is tried


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
    cost: Cost  # of predicting it for the second time: its files are in memory and the network is warm
    images: Images | None  # None for a 3D network


def prediction(model: Path, dataset: Dataset, case: Case, out: Path, setting: Setting) -> Prediction:
    """Predict a case twice into `out` and measure the second time; then the network alone, if it is 2D."""
    predict(model, dataset, [case], out, setting)
    spent = predict(model, dataset, [case], out, setting)
    return Prediction(case=case.id, shape=case.geometry.shape, cost=spent, images=images(model, setting))


def images(model: Path, setting: Setting) -> Images | None:
    """Milliseconds of an image at batch 1, and images a second in the largest batch; None for a 3D network."""
    device = torch.device(setting.device)
    method, spec = load_model(model, device, setting.plugin)
    if len(spec.config.patch) == 3:
        return None
    one = torch.zeros(1, spec.net.in_channels, *spec.config.patch, device=device)
    with settings(spec.config, device), torch.inference_mode():
        alone = sorted(timed(partial(method.logits, one), device, _ONE_BY_ONE))
        batch, seconds = _largest(method, one)
    return Images(
        p50_ms=_rank(alone, 50),
        p90_ms=_rank(alone, 90),
        batch=batch,
        batch_images_per_s=round(batch / seconds, 1),
    )


def _largest(method: Method, one: Tensor) -> tuple[int, float]:
    """The largest batch, of powers of two, and the median seconds it takes."""
    best = 1, statistics.median(timed(partial(method.logits, one), one.device, 3))
    for batch in itertools.takewhile(lambda size: size <= _LARGE[one.device.type], (2**n for n in itertools.count(1))):
        try:
            many = one.repeat(batch, *[1] * (one.ndim - 1))
            best = batch, statistics.median(timed(partial(method.logits, many), one.device, 3))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
    return best


def _rank(ordered: list[float], share: int) -> float:
    """A percentile by nearest rank, in ms."""
    return round(ordered[math.ceil(len(ordered) * share / 100) - 1] * 1000, 3)
