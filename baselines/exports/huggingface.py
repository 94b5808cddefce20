"""Hugging Face: safetensors and config.json, as its hub stores models; read back by this suite."""

from pathlib import Path

from baselines.export import Model
from baselines.hub import CONFIG, config_of
from baselines.model import save_weights
from converters.files import write_json


def write(model: Model, draft: Path) -> None:
    """All weights of the method, as they are, and config.json."""
    save_weights(model.method, draft)
    write_json(draft / CONFIG, config_of(model.spec, model.inputs))
