"""The TOML that describes a folder of images and masks: `docs/folder.md` is the rule.

What it says is taken literally; what it does not say is never guessed.
"""

import re
from typing import Literal

from converters.description import Channel, LabelInfo
from converters.files import Strict

FILE = "frugalseg.toml"
WHOLE = ""  # the structure of a mask that holds all of them
RGB = ("red", "green", "blue")

Patterns = str | tuple[str, ...]
Value = int | str  # a grey, "#rrggbb", or "low-high"
Values = Value | tuple[Value, ...]
_COLOUR = re.compile(r"#([0-9a-fA-F]{6})")
_RANGE = re.compile(r"(-?\d+)-(-?\d+)")


class ChannelPlace(Strict):
    """One of several channels of a case, each in files of its own."""

    images: Patterns
    modality: str = ""  # of the dataset, where it is not given
    sequence: str = ""
    unit: str = ""


class Structure(Strict):
    """A structure with more to say of it than its values."""

    values: Values
    snomed: str = ""
    colour: str = ""  # it is drawn with


class FolderConfig(Strict):
    """`frugalseg.toml`."""

    name: str
    licence: str
    citation: str
    modality: str
    ndim: Literal[2, 3]
    images: Patterns = ()
    channels: dict[str, ChannelPlace] = {}
    sequence: str = ""
    unit: str = ""
    rgb: bool = False  # colour pictures are three channels
    masks: Patterns | dict[str, Patterns] = ()
    labels: dict[str, Values | Structure] = {}
    background: Values = ()
    ignore: Values = ()
    palette: Literal["colours", "index"] = "colours"
    overlaps: tuple[tuple[str, ...], ...] = ()
    absent: Literal["refuse", "empty"] = "refuse"  # one of several masks of a case is not there
    exclude: Patterns = ()
    test: Patterns = ()
    pages: Literal["refuse", "slices", "frames"] = "refuse"
    spacing_mm: tuple[float, ...] = ()
    subject: str = ""
    case: str = ""
    version: str = "1"
    collection: str = ""
    doi: str = ""
    origin: Literal["expert", "derived"] = "expert"
    nsd_tolerances_mm: tuple[float, ...] = (1.0, 2.0)

    @property
    def places(self) -> dict[str, tuple[str, ...]]:
        """Where the files of each channel lie; the pictures of `rgb` give three channels from one place."""
        named = {name: listed(channel.images) for name, channel in self.channels.items()}
        return named or {"image": listed(self.images)}

    @property
    def mask_places(self) -> dict[str, tuple[str, ...]]:
        """Where the masks lie: of each structure, or of all together under `WHOLE`."""
        if isinstance(self.masks, dict):
            return {name: listed(patterns) for name, patterns in self.masks.items()}
        return {WHOLE: listed(self.masks)} if self.masks else {}

    @property
    def values(self) -> dict[str, tuple[Value, ...]]:
        """Structure -> the values that mean it."""
        return {name: of(said.values if isinstance(said, Structure) else said) for name, said in self.labels.items()}

    @property
    def coloured(self) -> bool:
        """The values are colours, not greys."""
        return any(
            isinstance(value, str) and value.startswith("#") for values in self.values.values() for value in values
        )

    @property
    def ground(self) -> tuple[Value, ...]:
        """The values that mean background: 0 or black, unless it says otherwise."""
        return of(self.background) or (("#000000",) if self.coloured else (0,))


def listed(patterns: Patterns) -> tuple[str, ...]:
    """One or several patterns as several."""
    return (patterns,) if isinstance(patterns, str) else patterns


def of(values: Values) -> tuple[Value, ...]:
    """One or several values as several."""
    return values if isinstance(values, tuple) else (values,)


def channels(config: FolderConfig) -> tuple[Channel, ...]:
    """The channels of every case."""
    if config.channels:
        return tuple(
            Channel(name=name, modality=place.modality or config.modality, sequence=place.sequence, unit=place.unit)
            for name, place in config.channels.items()
        )
    names = RGB if config.rgb else ("image",)
    return tuple(
        Channel(name=name, modality=config.modality, sequence=config.sequence, unit=config.unit) for name in names
    )


def label_info(config: FolderConfig) -> dict[str, LabelInfo]:
    """What is known of each structure; a colour it has in the source it keeps."""
    found = {}
    for name, values in config.values.items():
        said = config.labels[name]
        own = next((value.lower() for value in values if isinstance(value, str) and value.startswith("#")), "")
        greys = () if config.coloured else tuple(grey for value in values for grey in span(value))
        more = said if isinstance(said, Structure) else Structure(values=())
        found[name] = LabelInfo(source_values=greys, snomed=more.snomed, colour=more.colour.lower() or own)
    return found


def span(value: Value) -> range:
    """The numbers that a value means; of a colour its red, green and blue as one number.

    Raises:
        ValueError: it is no value.
    """
    if isinstance(value, int):
        return range(value, value + 1)
    if colour := _COLOUR.fullmatch(value):
        number = int(colour[1], 16)
        return range(number, number + 1)
    if run := _RANGE.fullmatch(value):
        low, high = int(run[1]), int(run[2])
        if low <= high < low + (1 << 16):
            return range(low, high + 1)
    raise ValueError(f'\'{value}\' is no value: write 7, "1-255" or "#rrggbb"')
