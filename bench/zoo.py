"""docs/methods.md, made by `make methods`: every method, in a table and in a section of its own, as its class says."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.config import NetConfig, NetSpec
from bench.catalogue import methods
from converters.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from baselines.method import Method

_KINDS = ("full", "semi", "scribble", "noisy")
_HEAD = """\
# Methods

Written by `make methods` from the classes in `baselines/methods`; a test fails when it lags.

*Made for* says for which kinds of annotation a method was published, not what it takes: it learns from any view that it
does not refuse. *Parameters* are all that learn, with the U-Net of the literature (16 to 256 channels), one channel and
four classes, in 2D; *beside it* is what a training holds besides one encoder and one decoder. *Stages* share the steps
of a recipe, so that methods of one table cost alike in steps. *Ranks*: whether several processes may share a batch. On
any other network (`train.net.arch`) a method is an adaptation of its paper.

"""
_SPEC = NetSpec(
    config=NetConfig(),
    in_channels=1,
    classes=4,
    patch=(64, 64),
    spacing=(1.0, 1.0),
    precision="fp32",
    channels_last=False,
)


@dataclasses.dataclass(frozen=True)
class Row:
    """What the table says of a method."""

    name: str
    about: str
    cls: "type[Method]"
    learning: int  # parameters
    beside: str  # networks, decoders and heads beside those of supervised learning

    @property
    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        flat, volumes = (self.cls.refuses(ndim, 1, 1) is None for ndim in (2, 3))
        return (
            f"[{self.name}](#{self.name})",
            self.cls.paper or "-",
            ", ".join(kind for kind in _KINDS if kind in self.cls.protocols),
            " ".join(name for name, taken in (("2D", flat), ("3D", volumes)) if taken),
            f"{self.learning / 1e6:.2f} M",
            self.beside,
            str(len(self.cls.stages)),
            "one" if self.cls.one_rank else "any",
        )


def rows() -> list[Row]:
    """Every method: supervised, which is for everything, then those made for the same kind of annotation, by name."""
    return sorted((_row(entry.name, entry.about) for entry in methods()), key=_place)


def page() -> str:
    """docs/methods.md."""
    found = rows()
    head = ("method", "paper", "made for", "runs in", "parameters", "beside it", "stages", "ranks")
    lines = [head, tuple("---:" if name in ("parameters", "stages") else "---" for name in head)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in [*lines, *(row.cells for row in found)])
    return _HEAD + table + "\n\n" + "\n\n".join(section(row) for row in found) + "\n"


def publish(path: Path) -> None:
    """Write the page."""
    write_bytes(path, page().encode())


def _place(row: Row) -> tuple[int, list[int], str]:
    made_for = row.cls.protocols
    return len(_KINDS) - len(made_for), [_KINDS.index(kind) for kind in made_for], row.name


def _row(name: str, about: str) -> Row:
    import torch

    from baselines.method import build, find
    from baselines.nets import maker

    cls = find(name)
    with torch.random.fork_rng(devices=[]):
        method = build(cls, maker(_SPEC), {})
    learning = sum(weight.numel() for weight in method.parameters() if weight.requires_grad)
    return Row(name, about, cls, learning, _beside(method))


def _beside(method: "Method") -> str:
    from baselines.nets import networks

    found = {"network": -1, "decoder": 0, "head": 0, "teacher": 0}
    for net in networks(method):
        if not any(weight.requires_grad for weight in net.parameters()):
            found["teacher"] += 1
            continue
        decoders = [net.body.decoder, *_parts(net.body, "others")]
        found["network"] += 1
        found["decoder"] += len(decoders) - 1
        found["head"] += sum(len(_parts(decoder, "coarse")) for decoder in decoders)
    return ", ".join(f"{n} {what}{'s' * (n > 1)}" for what, n in found.items() if n) or "-"


def _parts(module: "Module | Tensor", name: str) -> "list[Module]":
    return list(getattr(module, name, ()))


def section(row: Row) -> str:
    """What the page says of one method, below its name as a heading of the second rank."""
    about = "\n\n".join(escaped(paragraph) for paragraph in (inspect.getdoc(row.cls) or "").split("\n\n"))
    facts = "\n".join(f"- {fact}" for fact in _facts(row.cls))
    return f"## {row.name}\n\n*{escaped(row.about)}*\n\n{about}\n\n{facts}".rstrip()


def _facts(cls: "type[Method]") -> Iterator[str]:
    options = list(inspect.signature(cls.__init__).parameters.values())[2:]
    if options:
        yield f"Options: {_given({option.name: option.default for option in options})}."
    if len(cls.composition) > 1:
        yield "A batch: " + ", ".join(f"{share} {name}" for name, share in cls.composition.items()) + "."
    if len(cls.stages) > 1:
        yield (
            "Stages, of all steps: "
            + ", ".join(f"`{stage.name}` {100 * stage.share:.0f} %" for stage in cls.stages)
            + "."
        )
    if cls.reduces is not None:
        where = f"With {_given(cls.reduces)} it" if cls.reduces else "It"
        limit = f" with {_given(cls.limit)}" if cls.limit else ""
        yield f"{where} is `supervised`{limit}, bit for bit, on what is annotated."
    if cls.one_rank:
        yield f"One process to a batch: {cls.one_rank}."
    for ndim, what in ((2, "Slices"), (3, "Volumes")):
        if reason := cls.refuses(ndim, 1, 1):
            yield f"{what} are refused: {reason}."


def _given(options: Mapping[str, object]) -> str:
    return ", ".join(
        f"`{name} = {value:.4g}`" if type(value) is float else f"`{name} = {value}`" for name, value in options.items()
    )


def escaped(text: str) -> str:
    """A paragraph of a docstring that Markdown shows as it stands; what is in backticks is shown as code."""
    shown = [part if number % 2 else _plain(part) for number, part in enumerate(re.split(r"(`[^`]*`)", text))]
    return re.sub(r"^(\d*)([-+#>.)])(?=\s)", r"\1\\\2", "".join(shown), flags=re.MULTILINE)


def _plain(text: str) -> str:
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    text = re.sub(r"(?<! )\*|\*(?! )", r"\\*", text)
    return re.sub(r"<(?=[\w/!])|(?<=\])\(", r"\\\g<0>", text)
