"""The options of annotators: what each is where nobody says, and which numbers it may be.

`docs/protocols.md` says what they mean. Lengths are mm but where pixels are said. Light to import.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from converters.errors import UsageError


class Option(NamedTuple):
    """A number that an annotator can be told."""

    default: float
    lowest: float = 0.0
    highest: float = math.inf
    whole: bool = False

    @property
    def range(self) -> str:
        """Which numbers it may be, for people."""
        upwards = f"from {self.lowest:g}" + (f" to {self.highest:g}" if math.isfinite(self.highest) else "")
        return f"a whole number {upwards}" if self.whole else f"a number {upwards}"

    def takes(self, value: float) -> bool:
        """Whether it may be that number."""
        return math.isfinite(value) and self.lowest <= value <= self.highest and not (self.whole and value % 1)


def _mm(default: float, lowest: float = 0.0) -> Option:
    return Option(default, lowest, 1000.0)  # no image is wider


def _share(default: float) -> Option:
    return Option(default, 0.0, 1.0)


def _degrees(default: float) -> Option:
    return Option(default, 0.0, 180.0)


def _whole(default: float, lowest: float = 0.0, highest: float = math.inf) -> Option:
    return Option(default, lowest, highest, whole=True)


_SWITCH = _whole(0.0, 0.0, 1.0)
_BAND = _mm(30.0, lowest=1.0)  # background is marked this near to the structures
_SEVERITY = Option(1.0, 0.0, 10.0)
_LEAST_SCALE = 0.1  # no structure is made smaller than this share of itself
_RADII = {"radius_low": _mm(2.0), "radius_high": _mm(10.0), "severity": _SEVERITY}
TRUSTED = _SWITCH  # of every annotator of noise: whether the view tells which labels nobody disturbed
# Every annotator that has some.
RANGES: Mapping[str, Mapping[str, Option]] = {
    "scribble": {
        "band_mm": _BAND,
        "brush_mm": _mm(2.0),
        "depth_low": _share(0.25),  # erosion, as a share of the part's half-width there
        "depth_high": _share(0.6),
        "least_part": _share(0.1),  # parts smaller than this share of the largest get no stroke
        "loop_low": _share(0.6),  # share of the outline that a loop follows
        "loop_high": _share(1.0),
        "round_below": Option(3.0),  # a skeleton shorter than this many inscribed radii makes no stroke
    },
    # Pixels, as published. Rounds of erosion: its script passes 1 and the number of codes less one, 3 for ACDC.
    "skeleton": {
        "erode_low": Option(1.0, 0.0, 100.0),
        "erode_high": Option(3.0, 0.0, 100.0),
        "erode_area": Option(900.0),
        "move_area": Option(1000.0),
        "shift": _whole(6.0, 0.0, 1000.0),
        "degrees": _degrees(15.0),
    },
    "curve": {  # pixels, as published
        "control_points": _whole(4.0, 3.0, 100.0),  # a spline of degree 2 has three
        "thickness": _whole(3.0, 1.0, 50.0),
        "disk_low": _whole(1.0, 0.0, 50.0),
        "disk_high": _whole(4.0, 0.0, 50.0),
        "length_low": _share(0.07),
        "length_high": _share(0.15),
    },
    "clicks": {"k": _whole(1.0, 1.0), "per_case": _SWITCH, "band_mm": _BAND},
    "box": {"margin_mm": _mm(0.0)},
    "slices": {"n": _whole(5.0, 2.0)},
    "classes": {"count": _whole(1.0, 1.0), "background": _SWITCH},
    # Shares of the kinds as in PyMIC's JSRT example; radii so that labels agree with Dice 0.80 on ACDC.
    "boundary": {
        "dilate": _share(0.35),
        "erode": _share(0.35),
        "radius_low": _mm(2.0),
        "radius_high": _mm(10.0),
        "wave_mm": _mm(8.0),
    },
    "dilate": _RADII,
    "erode": _RADII,
    "edge": {**_RADII, "wave_mm": _mm(8.0)},
    "affine": {
        "shift_low": _mm(2.0),
        "shift_high": _mm(8.0),
        "degrees_low": _degrees(5.0),
        "degrees_high": _degrees(15.0),
        "scale_low": Option(0.9, _LEAST_SCALE, 10.0),
        "scale_high": Option(1.1, _LEAST_SCALE, 10.0),
        "severity": _SEVERITY,
    },
    "elastic": {"shift_low": _mm(4.0), "shift_high": _mm(10.0), "wave_mm": _mm(12.0), "severity": _SEVERITY},
    "polygon": {"tolerance_low": _mm(2.0), "tolerance_high": _mm(6.0), "severity": _SEVERITY},
    "missing": {"share": _share(0.2), "severity": _SEVERITY},
    "swap": {"share_low": _share(0.5), "share_high": _share(1.0), "severity": _SEVERITY},
    "jsrt": {  # pixels, as published
        "radius_low": _whole(6.0, 0.0, 1000.0),
        "radius_high": _whole(12.0, 0.0, 1000.0),
        "across": _whole(256.0),
        "severity": _SEVERITY,
    },
}
OPTIONS: Mapping[str, dict[str, float]] = {
    name: {key: option.default for key, option in options.items()} for name, options in RANGES.items()
}


def number(annotator: str, key: str, text: str, option: Option) -> float:
    """What was typed for an option.

    Raises:
        UsageError: it is no number, or none that the option may be.
    """
    mend = f"--annotator {annotator}:{key}={option.default:g}, the default, or another number in that range"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not option.takes(value):
        raise UsageError(f"--annotator {annotator}: {key}={text} is not possible; it is {option.range}", mend=mend)
    return value


def check(annotator: str, options: Mapping[str, float]) -> None:
    """Whether the options of an annotator go together.

    Raises:
        UsageError: a lowest value lies above its highest, or the options contradict each other.
    """
    for key, low in options.items():
        upper = f"{key.removesuffix('_low')}_high"
        if key.endswith("_low") and low > options[upper]:
            raise UsageError(
                f"--annotator {annotator}: {key}={low:g} is above {upper}={options[upper]:g}",
                mend=f"give {key} from {RANGES[annotator][key].lowest:g} to {options[upper]:g}, or a larger {upper}",
            )
    if annotator == "boundary" and (both := options["dilate"] + options["erode"]) > 1 + 1e-9:
        raise UsageError(
            f"--annotator boundary: dilate={options['dilate']:g} and erode={options['erode']:g} are {both:g} together",
            mend="give shares of at most 1 together; what is left is distorted",
        )
    if annotator == "affine":
        _check_scale(options["scale_low"], options["severity"])


def _check_scale(low: float, severity: float) -> None:
    if 1 + severity * (low - 1) < _LEAST_SCALE - 1e-9:
        least = math.ceil(1000 * (1 - (1 - _LEAST_SCALE) / severity)) / 1000
        raise UsageError(
            f"--annotator affine: scale_low={low:g} with severity={severity:g} leaves next to nothing of a structure",
            mend=f"give scale_low from {least:g}, or a smaller severity",
        )
