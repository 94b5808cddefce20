"""What a model remembers of the images it was trained on, so that others are read as they were."""

from typing import Literal

from converters.dataset import Dataset
from converters.description import Channel, LabelInfo, Source
from converters.errors import BenchError
from converters.files import Strict
from converters.folder_config import RGB
from converters.preparation import NOTHING, Preparation, spacing_of
from converters.source import Info


class Inputs(Strict):
    """inputs.json beside a model: the images it was trained on, as far as others must be read like them."""

    dataset: str
    ndim: Literal[2, 3]
    channels: tuple[Channel, ...]
    labels: dict[str, int | tuple[int, ...]]  # with background
    label_info: dict[str, LabelInfo] = {}
    licence: str = ""
    citation: str = ""
    preparation: dict[str, str | float] = {}  # of the voxels, asked for at conversion
    spacing_known: bool = True  # of any image
    slice_axis: int | None = None  # of all images; None: they differ


def inputs_of(dataset: Dataset) -> Inputs:
    """What a model must remember of the images it is trained on."""
    card = dataset.file.bench
    axes = {case.geometry.slice_axis for case in dataset.cases}
    return Inputs(
        dataset=dataset.name,
        ndim=card.ndim,
        channels=card.channels,
        labels=dataset.file.labels,
        label_info=card.label_info,
        licence=dataset.file.licence,
        citation=card.citation,
        preparation=card.preparation,
        spacing_known=any(case.geometry.spacing_known for case in dataset.cases),
        slice_axis=axes.pop() if len(axes) == 1 else None,
    )


def info_of(inputs: Inputs) -> Info:
    """The images of a training as a source describes a dataset."""
    return Info(
        name=inputs.dataset,
        version="",
        licence=inputs.licence,
        citation=inputs.citation,
        source=Source(collection=""),
        channels=inputs.channels,
        labels=inputs.labels,
        label_info=inputs.label_info,
        ndim=inputs.ndim,
    )


def in_colours(inputs: Inputs) -> bool:
    """Whether one picture in colours holds all channels: red, green and blue, or what was kept of these three."""
    kept = str(inputs.preparation.get("channels", "")).endswith(f" of {', '.join(RGB)}")
    return kept or tuple(channel.name for channel in inputs.channels) == RGB


def preparation_of(inputs: Inputs) -> Preparation:
    """The preparation of the training's images, to be made of others."""
    told = inputs.preparation
    steps = set(str(told.get("steps", "")).split(", "))
    # Channels are named by whoever gives the image: nothing is left to choose.
    if strange := sorted(steps - {"median", "n4", "channels", "spacing"}):
        raise BenchError(
            f"the images of the training were prepared ({', '.join(strange)}), which takes more than one image",
            mend="convert the images with the same preparation, and predict with --dataset",
        )
    how = told.get("interpolation", NOTHING.interpolation)
    return Preparation(
        spacing=spacing_of(str(told["spacing_mm"]).replace("x", ",")) if "spacing" in steps else None,
        interpolation="linear" if how == "linear" else "bspline",
        n4="n4" in steps,
        median=int(str(told["median"]).split()[2]) if "median" in steps else 0,  # "median over 3 x 3 pixels ..."
    )
