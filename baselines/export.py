"""Models for elsewhere: every file of `baselines/exports/` is a layout; none is kept that labels voxels otherwise."""

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, cast

import msgspec
import numpy as np
import scipy.ndimage
import torch

from baselines import exports
from baselines.agreement import MOST, Agreement, with_float32
from baselines.inputs import read_inputs
from baselines.method import Method
from baselines.model import ModelSpec, load_model
from baselines.nets import networks
from baselines.predict import Setting, predict
from converters import shelf
from converters.dataset import Case, Dataset
from converters.errors import RunFault, UsageError
from converters.export import whole
from converters.files import Strict, sha256, write_bytes, write_json
from converters.inputs import Inputs

PARITY = "parity.json"
WINDOWS = 8  # made up, where no dataset is given
SAME = 1e-3  # relative, of numbers that are no logits of classes


@dataclasses.dataclass(frozen=True)
class Model:
    """What an export writes: a method ready to predict, on the CPU."""

    method: Method
    spec: ModelSpec
    inputs: Inputs


class ExportModule(Protocol):
    """A file of `baselines/exports/`."""

    def write(self, model: Model, draft: Path) -> None:
        """Write the model into an empty folder, so that `load_model` reads it."""


class Parity(Strict):
    """parity.json: what the exported model labels otherwise than the trained one does in float32."""

    to: str
    on: str  # a dataset, or made-up windows
    cases: int
    voxels: int
    differ: int
    model_sha256: str  # of the weights that were exported
    of: Literal["labels", "numbers"] = "labels"  # what is compared: of a task without label maps, the numbers

    def sentence(self) -> str:
        """What it found, in words."""
        what = "voxels have another label" if self.of == "labels" else "numbers are others"
        return f"{self.differ} of {self.voxels} {what} on {self.on}"


@dataclasses.dataclass(frozen=True)
class Grounds:
    """The cases that both models label; without them, made-up windows."""

    dataset: Dataset
    cases: Sequence[Case]


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is to be exported, and how that is checked and told."""

    to: str  # the layout
    setting: Setting
    card: Callable[[ModelSpec, Inputs, Parity], str]  # README.md
    grounds: Grounds | None = None


def names() -> list[str]:
    """Every layout, which is every file of `baselines/exports/`."""
    return shelf.stems(exports)


def export(model: Path, out: Path, asked: Asked) -> Parity:
    """Write a trained model to the new folder `out`: whole, and with the label maps of the trained one, or not at all.

    Raises:
        UsageError: there is no such layout, or a dataset is given for a task that is no label map.
        RunFault: more than 1 voxel in 10 000 has another label than the trained model gives it in float32.
        BenchError: the model or its inputs.json cannot be read, or `out` holds something.
        EnvironmentFault: a package is missing.
    """
    setting, grounds = asked.setting, asked.grounds
    module = cast(ExportModule, shelf.module(exports, "layout", asked.to))
    inputs = read_inputs(model)
    with whole(out) as draft:
        method, spec = load_model(model, torch.device("cpu"), setting.plugin)
        if grounds is not None and spec.goal is not None:
            raise UsageError(
                f"label maps are compared, and the model's task is {spec.task}", mend="leave --dataset out"
            )
        module.write(Model(method, spec, inputs), draft)
        found = _on_windows(model, draft, setting) if grounds is None else _on_cases(model, draft, grounds, setting)
        if found.share > MOST:
            raise RunFault(
                f"the exported model labels {found.differ} of {found.voxels} voxels otherwise, "
                f"{found.share * 1e4:.2f} in 10 000; 1 is the most",
                where=model,
                mend="--to huggingface keeps the weights as they are",
            )
        parity = Parity(
            to=asked.to,
            on="made-up windows" if grounds is None else grounds.dataset.name,
            cases=found.cases,
            voxels=found.voxels,
            differ=found.differ,
            model_sha256=sha256((model / "model.safetensors").read_bytes()),
            of="labels" if spec.goal is None else "numbers",
        )
        write_json(draft / PARITY, parity)
        write_bytes(draft / "README.md", asked.card(spec, inputs, parity).encode())
    return parity


def _on_cases(model: Path, draft: Path, grounds: Grounds, setting: Setting) -> Agreement:
    """Whole label maps, from files to files, both in float32."""
    exact = dataclasses.replace(setting, config=msgspec.structs.replace(setting.config, precision="fp32"))
    with tempfile.TemporaryDirectory() as scratch:
        predict(draft, grounds.dataset, grounds.cases, Path(scratch), exact)
        return with_float32(model, grounds.dataset, grounds.cases, Path(scratch), exact)


def _on_windows(model: Path, draft: Path, setting: Setting) -> Agreement:
    """Windows of smooth noise: as images are, without edges that are known.

    Of a task that is no label map numbers are compared: one differs that is not the same within a thousandth.
    """
    device = torch.device(setting.device)
    found = []
    for folder in (model, draft):
        method, spec = load_model(folder, device, setting.plugin)
        for network in networks(method):
            network.precision = "fp32"
        windows = made_up(WINDOWS, spec.net.in_channels, spec.config.patch).to(device)
        with torch.inference_mode():
            found.append(torch.cat([method.logits(window[None]) for window in windows]).cpu())
    ours, theirs = found
    if spec.goal is None:
        differ = ours.argmax(1) != theirs.argmax(1)
    else:
        differ = (ours - theirs).abs() > SAME * ours.abs().clamp(min=1)
    return Agreement(cases=WINDOWS, voxels=differ.numel(), differ=int(differ.sum()))


def made_up(count: int, channels: int, patch: Sequence[int]) -> torch.Tensor:
    """Windows of smooth noise, mean 0 and SD 1, the same each time. Shape: (count, channels, *patch) float32."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((count, channels, *patch))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 0, *(max(1.0, edge / 16) for edge in patch)))
    axes = tuple(range(2, noise.ndim))
    smooth -= smooth.mean(axes, keepdims=True)
    smooth /= smooth.std(axes, keepdims=True)
    return torch.from_numpy(smooth.astype(np.float32))
