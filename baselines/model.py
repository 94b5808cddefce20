"""A trained model on disk: weights as safetensors, everything else as JSON beside them."""

from pathlib import Path
from typing import ClassVar

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from baselines.config import NetSpec, Settings, TrainConfig, plain
from baselines.device import compiles
from baselines.goal import Goal
from baselines.method import Method, build, find
from baselines.nets import maker, networks
from baselines.onnx_method import GRAPH, OnnxMethod
from baselines.pictures import Picture
from baselines.task import LABELS
from baselines.task import find as find_task
from baselines.values import Known, Value
from converters.errors import BenchError
from converters.files import read_json, write_bytes, write_json

MODEL = "model.json"


class ModelSpec(Settings):
    """model.json: how to build the method again and what its output means."""

    later: ClassVar[frozenset[str]] = frozenset({"task", "known", "class_weights"})

    config: TrainConfig
    net: NetSpec
    channels: tuple[str, ...]
    labels: dict[str, int | tuple[int, ...]]
    seed: int
    task: str = LABELS
    known: Known = Known()  # of the values of the training cases, where these are the task
    class_weights: tuple[float, ...] = ()  # by code, where the recipe asks for them

    @property
    def goal(self) -> Goal | None:
        """What is learnt in the place of label maps; None: label maps."""
        return goal_of(self.task, self.known, self.config)


def goal_of(task: str, known: Known, config: TrainConfig) -> Goal | None:
    """The goal of that task; None: label maps."""
    if task == LABELS:
        return None
    found = find_task(task)
    return Picture(task, found, len(config.patch)) if found.kind == "image" else Value(task, found, known)


def make_method(spec: ModelSpec, plugin: Path | None = None) -> Method:
    """The method of a spec with fresh weights."""
    method = build(find(spec.config.method, plugin), maker(spec.net), spec.config.options)
    method.goal = spec.goal
    method.weigh(spec.class_weights)
    return method


def save_model(method: Method, spec: ModelSpec, folder: Path) -> None:
    """Write model.safetensors and model.json, each atomically."""
    save_weights(method, folder)
    write_json(folder / MODEL, plain(spec))


def save_weights(method: Method, folder: Path) -> None:
    """Write model.safetensors, atomically."""
    write_bytes(folder / "model.safetensors", save({k: v.contiguous().cpu() for k, v in method.state_dict().items()}))


def read_spec(folder: Path) -> ModelSpec:
    """What a model's folder says of it, in our layout or in that of Hugging Face.

    Raises:
        BenchError: the file is absent or damaged.
    """
    from baselines.hub import is_hub, read_hub

    return read_hub(folder)[0] if is_hub(folder) else read_json(folder / MODEL, ModelSpec)


def load_model(folder: Path, device: torch.device, plugin: Path | None = None) -> tuple[Method, ModelSpec]:
    """A saved model, ready to predict: as it was trained, or as `baselines.export` wrote it.

    Raises:
        BenchError: a file is absent or damaged, or the weights are another model's.
        EnvironmentFault: what runs an exported model is not installed.
    """
    spec = read_spec(folder)
    if (folder / GRAPH).is_file():
        exported = OnnxMethod(folder / GRAPH, device).eval()
        exported.goal = spec.goal
        return exported, spec
    # The weights come from the file: fetching the pre-trained encoder again would be work for nothing.
    fresh = msgspec.structs.replace(spec.net, config=msgspec.structs.replace(spec.net.config, encoder_weights=None))
    method = make_method(msgspec.structs.replace(spec, net=fresh), plugin)
    load_weights(method, folder)
    method.stage = method.stages[-1]
    return method.to(device).eval(), spec


def load_weights(method: Method, folder: Path) -> None:
    """Put the weights of a saved model into a method, in place.

    Raises:
        BenchError: they are absent, damaged or another model's.
    """
    try:
        method.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise BenchError(
            f"the weights do not fit: {error}", where=folder / "model.safetensors", mend="train again"
        ) from error


def compile_networks(method: Method, config: TrainConfig, device: torch.device) -> bool:
    """Compile each network in place, where that is asked for: names of weights stay, the method is plain Python.

    Raises:
        EnvironmentFault: it is asked for, and something is missing.
    """
    if not compiles(config, device):
        return False
    for network in networks(method):
        network.compile_body()
    return True
