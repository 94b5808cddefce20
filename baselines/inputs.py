"""inputs.json: which images a model was trained on, so that files of no dataset are read like them."""

from pathlib import Path

import msgspec

from baselines.config import TrainConfig
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.files import read_json, write_json
from converters.inputs import Inputs, inputs_of

INPUTS = "inputs.json"


def save_inputs(view: Dataset, folder: Path, config: TrainConfig) -> None:
    """Write it beside the model that was trained on the view."""
    inputs = inputs_of(view)
    if config.plane != "stack":  # then it does not matter along which axis an image was acquired
        inputs = msgspec.structs.replace(inputs, slice_axis=None)
    write_json(folder / INPUTS, inputs)


def read_inputs(model: Path) -> Inputs:
    """What a model's folder says of its images; of a run older than the file, what the view beside it says.

    Raises:
        BenchError: neither is there, or one is damaged.
    """
    from baselines.hub import is_hub, read_hub

    if is_hub(model):
        return read_hub(model)[1]
    if (model / INPUTS).is_file():
        return read_json(model / INPUTS, Inputs)
    view = model.resolve().parent / "view"
    if (view / "dataset.json").is_file():
        return inputs_of(Dataset.load(view))
    raise BenchError(
        f"there is no {INPUTS}: how images must be read is not known",
        where=model,
        mend="leave the model in the folder of its run, beside view/; or train again",
    )
