"""Which voxels did somebody annotate, and how well? The table of `docs/protocols.md`; light to import."""

import re

import msgspec

from converters.dataset import Dataset
from converters.errors import UsageError, unknown_name
from converters.files import Strict


class Protocol(Strict):
    """Whose labels may be seen and who drew them."""

    name: str
    version: int  # raised when the same dataset, split and draw would give another view
    percent: int  # of the training subjects are labelled
    annotator: str  # a function of bench/annotators.py, or "expert-else-scribble"
    ratio_percent: int = 100  # of the labelled subjects get the annotator's label, the others the reference
    options: dict[str, float] = msgspec.field(default_factory=dict)  # of the annotator; lengths in mm


# What `bench ls protocols` shows; `semi` and `noisy` take any number from 1 to 100.
PROTOCOLS = (
    Protocol(name="full", version=1, percent=100, annotator="dense"),
    Protocol(name="semi10", version=1, percent=10, annotator="dense"),
    Protocol(
        name="scribble",
        version=1,
        percent=100,
        annotator="expert-else-scribble",
        options={
            "band_mm": 30.0,  # background strokes stay this near to the structures
            "brush_mm": 2.0,
            "depth_low": 0.25,  # erosion, as a share of the part's half-width there
            "depth_high": 0.6,
            "least_part": 0.1,  # parts smaller than this share of the largest get no stroke
            "loop_low": 0.6,  # share of the outline that a loop follows
            "loop_high": 1.0,
            "round_below": 3.0,  # a skeleton shorter than this many inscribed radii makes no stroke
        },
    ),
    Protocol(
        name="noisy50",
        version=1,
        percent=100,
        annotator="boundary",
        ratio_percent=50,
        # Shares of the kinds as in PyMIC's JSRT example; radii so that labels agree with Dice 0.78 on ACDC.
        options={"dilate": 0.35, "erode": 0.35, "radius_low": 2.0, "radius_high": 10.0, "wave_mm": 8.0},
    ),
)
_SHORT = {"noisy": "noisy50"}
_NUMBERED = {"semi": "percent", "noisy": "ratio_percent"}
_CHOICES: dict[str, tuple[str, ...]] = {"scribble": ("expert", "scribble")}
_TABLE = {re.sub(r"\d+$", "", protocol.name): protocol for protocol in PROTOCOLS}


def parse(name: str, *, annotator: str | None = None) -> Protocol:
    """The protocol of that name: `full`, `semi<1-100>`, `scribble`, `noisy<1-100>`; `noisy` is `noisy50`.

    `annotator` fixes who draws the scribbles: `expert` (refused where a dataset has none) or `scribble` (simulated).

    Raises:
        UsageError: there is no such protocol or annotator, or the number is no percentage.
    """
    protocol = _numbered(_SHORT.get(name, name))
    if annotator is None or annotator == protocol.annotator:
        return protocol
    choices = _CHOICES.get(protocol.name, (protocol.annotator,))
    if annotator not in choices:
        raise UsageError(
            f"protocol '{protocol.name}' has no annotator '{annotator}'", mend=f"annotators: {', '.join(choices)}"
        )
    return msgspec.structs.replace(protocol, annotator=annotator)


def notices(view: Dataset) -> list[str]:
    """What a person should know before reading a number: shares that were rounded, strokes that no expert drew."""
    parent = view.file.bench.parent
    if parent is None:
        return []
    facts = parent.protocol
    n, k = int(facts["training_subjects"]), int(facts["labelled_subjects"])
    found = _rounded(str(facts["protocol"]), int(facts["percent"]), (n, k), "training subjects", "labelled")
    if "disturbed_subjects" in facts:
        disturbed = (k, int(facts["disturbed_subjects"]))
        found += _rounded(
            str(facts["protocol"]), int(facts["ratio_percent"]), disturbed, "labelled subjects", "disturbed"
        )
    if facts["annotator"] == "simulated scribble":
        found.append(f"{facts['protocol']}: the scribbles are simulated from the reference labels")
    return found


def _numbered(name: str) -> Protocol:
    match = re.fullmatch(r"([a-z]+)([0-9]*)", name)
    stem, number = match.groups() if match else ("", "")
    if stem not in _TABLE or bool(number) != (stem in _NUMBERED):
        raise unknown_name("protocol", name, [*(protocol.name for protocol in PROTOCOLS), *_SHORT])
    if not number:
        return _TABLE[stem]
    if not 1 <= int(number) <= 100:
        raise UsageError(f"protocol '{name}': {int(number)} % is not possible", mend=f"{stem}1 to {stem}100")
    share = {_NUMBERED[stem]: int(number)}
    return msgspec.structs.replace(_TABLE[stem], name=f"{stem}{int(number)}", **share)


def _rounded(name: str, percent: int, sizes: tuple[int, int], whose: str, done: str) -> list[str]:
    n, k = sizes
    if percent * n == 100 * k:
        return []
    asked = f"{name}: {percent} % of {n} {whose}"
    if percent * n < 100:
        return [f"{asked} is less than one; one {done} subject is the least, a real share of {100 * k / n:.3g} %"]
    return [f"{asked} is rounded up to {k} {done}, a real share of {100 * k / n:.3g} %"]
