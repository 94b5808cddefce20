"""A model in the layout of Hugging Face: model.safetensors and config.json, which holds model.json and inputs.json."""

from pathlib import Path
from typing import Literal

import msgspec

from baselines.config import plain
from baselines.model import MODEL, ModelSpec
from baselines.task import LABELS
from converters.errors import BenchError
from converters.files import read_json
from converters.inputs import Inputs

CONFIG = "config.json"
_FORMAT = 1


class _Ours(msgspec.Struct, forbid_unknown_fields=True):
    """What this suite needs to build the model again."""

    format: int
    model: ModelSpec
    inputs: Inputs


class _Config(msgspec.Struct):
    """config.json; programs of others may add keys of their own."""

    frugalseg: _Ours
    model_type: Literal["frugalseg"] = "frugalseg"


def config_of(spec: ModelSpec, inputs: Inputs) -> dict[str, object]:
    """config.json: the keys that Hugging Face's own models have, and all of ours under `frugalseg`."""
    codes = {code: name for name, code in inputs.labels.items() if isinstance(code, int)}
    if spec.task != LABELS:
        codes = dict(enumerate(spec.known.classes))  # none where the answer is a number or an image
    names = {
        "num_labels": spec.net.classes,
        "id2label": {str(code): name for code, name in sorted(codes.items())},
        "label2id": {name: code for code, name in sorted(codes.items())},
    }
    return {
        "model_type": "frugalseg",
        "library_name": "frugalseg",
        "architectures": [spec.net.config.arch],
        "num_channels": spec.net.in_channels,
        **(names if codes else {}),
        "frugalseg": {"format": _FORMAT, "model": plain(spec), "inputs": inputs},
    }


def is_hub(folder: Path) -> bool:
    """Whether a folder holds a model in this layout."""
    return (folder / CONFIG).is_file() and not (folder / MODEL).is_file()


def read_hub(folder: Path) -> tuple[ModelSpec, Inputs]:
    """What config.json says.

    Raises:
        BenchError: it is another library's, damaged, or of a newer format.
    """
    ours = read_json(folder / CONFIG, _Config).frugalseg
    if ours.format > _FORMAT:
        raise BenchError(f"model format {ours.format} is newer than {_FORMAT}", where=folder, mend="update frugalseg")
    return ours.model, ours.inputs
