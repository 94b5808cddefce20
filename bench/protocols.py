"""Which voxels did somebody annotate, and how well? The table of `docs/protocols.md`; light to import."""

import re
from collections.abc import Mapping

import msgspec

from bench.annotator_options import OPTIONS, RANGES, TRUSTED, check, number
from converters.dataset import Dataset
from converters.errors import UsageError, unknown_name
from converters.files import Strict


class Protocol(Strict):
    """Whose labels may be seen and who drew them."""

    name: str
    version: int  # raised when the same dataset, split and draw would give another view
    percent: int  # of the training subjects are labelled
    annotator: str  # a file of bench/annotators/, or "expert-else-scribble"
    ratio_percent: int = 100  # of the labelled subjects get the annotator's label, the others the reference
    options: dict[str, float] = msgspec.field(default_factory=dict)  # of the annotator; lengths in mm
    strokes: int = 1  # 1/n of each stroke is kept: 1, 2, 4, 8 or 16
    trusted: bool = False  # whether the view tells which labels nobody disturbed
    said: str = ""  # options other than the annotator's own, as typed

    @property
    def family(self) -> str:
        """The name without its number."""
        return re.sub(r"\d+$", "", self.name)

    @property
    def seed(self) -> str:
        """What generators are seeded with: shorter strokes and fewer clicks are parts of longer and more ones."""
        return f"{self.name if self.family in ('semi', 'noisy') else self.family}/v{self.version}"


# What `bench ls protocols` shows.
PROTOCOLS = (
    Protocol(name="full", version=1, percent=100, annotator="dense"),
    Protocol(name="semi10", version=1, percent=10, annotator="dense"),
    Protocol(name="scribble", version=1, percent=100, annotator="expert-else-scribble", options=OPTIONS["scribble"]),
    Protocol(
        name="noisy50", version=1, percent=100, annotator="boundary", ratio_percent=50, options=OPTIONS["boundary"]
    ),
    Protocol(name="clicks1", version=1, percent=100, annotator="clicks", options=OPTIONS["clicks"]),
    Protocol(name="boxes", version=1, percent=100, annotator="box", options=OPTIONS["box"]),
    Protocol(name="slices5", version=1, percent=100, annotator="slices", options=OPTIONS["slices"]),
    Protocol(name="classes1", version=1, percent=100, annotator="classes", options=OPTIONS["classes"]),
)
_SHORT = {"noisy": "noisy50"}
_TABLE = {protocol.family: protocol for protocol in PROTOCOLS}
_NOISE = ("boundary", "dilate", "erode", "edge", "affine", "elastic", "polygon", "missing", "swap", "jsrt")
# Beside the protocol's own.
_CHOICES: Mapping[str, tuple[str, ...]] = {"scribble": ("expert", "scribble", "skeleton", "curve"), "noisy": _NOISE}
# What the number in a name is, and which numbers there are; a scribble needs none.
_PERCENT = tuple(range(1, 101))
_NUMBERS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "semi": ("percent", _PERCENT),
    "noisy": ("ratio_percent", _PERCENT),
    "scribble": ("strokes", (2, 4, 8, 16)),
    "clicks": ("k", _PERCENT),
    "slices": ("n", tuple(range(2, 101))),
    "classes": ("count", _PERCENT),
}


def parse(name: str, *, annotator: str | None = None) -> Protocol:
    """The protocol of that name: `full`, `semi<1-100>`, `scribble`, `scribble<2, 4, 8, 16>`, `noisy<1-100>` ...

    `noisy` is `noisy50`. `annotator` fixes who draws, where there is a choice, and how: `NAME` or
    `NAME:option=number,option=number`. Scribbles are by `expert` (refused where a dataset has none), `scribble`,
    `skeleton` or `curve` (simulated). For noise, `trusted=1` has the view tell which labels are undisturbed.

    Raises:
        UsageError: there is no such protocol, annotator or option, or a number is none of those it takes.
    """
    protocol = _numbered(_SHORT.get(name, name))
    if annotator is None or annotator == protocol.annotator:
        return protocol
    who, _, typed = annotator.partition(":")
    known = choices(protocol)
    if who not in known:
        raise UsageError(f"protocol '{protocol.name}' has no annotator '{who}'", mend=f"annotators: {', '.join(known)}")
    if who not in ("expert", protocol.annotator):
        protocol = msgspec.structs.replace(protocol, options=dict(OPTIONS[who]))
    return _set(msgspec.structs.replace(protocol, annotator=who), typed)


def choices(protocol: Protocol) -> tuple[str, ...]:
    """The annotators that may draw for it."""
    return _CHOICES.get(protocol.family, (protocol.annotator,))


def numbers(protocol: Protocol) -> str:
    """Which numbers its name may end in, for people; "" where none."""
    _, known = _NUMBERS.get(protocol.family, ("", ()))
    if known and known[-1] - known[0] + 1 == len(known):
        return f"any number from {known[0]} to {known[-1]}"
    return f"or {', '.join(f'{protocol.family}{n}' for n in known)}: so much shorter strokes" if known else ""


def notices(view: Dataset) -> list[str]:
    """What a person should know before reading a number: shares that were rounded, strokes that no expert drew.

    Slices of joined cases that run along another axis, too.
    """
    parent = view.file.bench.parent
    if parent is None:
        return []
    facts = parent.protocol
    n, k = int(facts["training_subjects"]), int(facts["labelled_subjects"])
    found = _of_joined(view) if "unlabelled" in facts else []
    if not k:  # where images are the target nobody has to label any
        return found
    found += _rounded(str(facts["protocol"]), int(facts["percent"]), (n, k), "training subjects", "labelled")
    if "disturbed_subjects" in facts:
        disturbed = (k, int(facts["disturbed_subjects"]))
        found += _rounded(
            str(facts["protocol"]), int(facts["ratio_percent"]), disturbed, "labelled subjects", "disturbed"
        )
    if re.match(r"simulated.* scribble\b", str(facts["annotator"])):
        found.append(f"{facts['protocol']}: the scribbles are simulated from the reference labels")
    return found


def _of_joined(view: Dataset) -> list[str]:
    from bench import unlabelled  # numpy

    return unlabelled.notices(view)


def _numbered(name: str) -> Protocol:
    match = re.fullmatch(r"([a-z]+)([0-9]*)", name)
    stem, number = match.groups() if match else ("", "")
    if stem not in _TABLE or (bool(number) != (stem in _NUMBERS) and not (stem == "scribble" and not number)):
        raise unknown_name("protocol", name, [*(protocol.name for protocol in PROTOCOLS), *_SHORT])
    protocol = _TABLE[stem]
    if not number:
        return protocol
    field, known = _NUMBERS[stem]
    if int(number) not in known:
        unit = " %" if field.endswith("percent") else ""
        first, last = f"{stem}{known[0]}", f"{stem}{known[-1]}"
        raise UsageError(f"protocol '{name}': {int(number)}{unit} is not possible", mend=f"{first} to {last}")
    there = field in protocol.options
    change = {"options": protocol.options | {field: float(number)}} if there else {field: int(number)}
    return msgspec.structs.replace(protocol, name=f"{stem}{int(number)}", **change)


def _set(protocol: Protocol, typed: str) -> Protocol:
    """The protocol with the options that were typed after the annotator's name."""
    options, said = dict(protocol.options if protocol.annotator != "expert" else {}), []
    known = dict(RANGES.get(protocol.annotator, {})) | ({"trusted": TRUSTED} if protocol.family == "noisy" else {})
    for part in filter(None, typed.split(",")):
        key, _, text = part.partition("=")
        if key not in known:
            raise unknown_name(f"option of annotator {protocol.annotator}", key, known)
        value = number(protocol.annotator, key, text, known[key])
        if key == "trusted":
            protocol = msgspec.structs.replace(protocol, trusted=bool(value))
        elif options[key] != value:
            options[key] = value
            said.append(f"{key}={value:g}")
    check(protocol.annotator, options)
    return msgspec.structs.replace(protocol, options=options, said=", ".join(sorted(said)))


def _rounded(name: str, percent: int, sizes: tuple[int, int], whose: str, done: str) -> list[str]:
    n, k = sizes
    if percent * n == 100 * k:
        return []
    asked = f"{name}: {percent} % of {n} {whose}"
    if percent * n < 100:
        return [f"{asked} is less than one; one {done} subject is the least, a real share of {100 * k / n:.3g} %"]
    return [f"{asked} is rounded up to {k} {done}, a real share of {100 * k / n:.3g} %"]
