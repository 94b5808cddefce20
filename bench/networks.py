"""docs/networks.md, made by `make networks`: what each network of a sweep is, costs, and scored where it has run."""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from baselines.config import NetSpec, plain
from bench.catalogue import networks
from bench.recipe import Choice, Recipe, resolve
from bench.sweep import read
from bench.zoo import escaped
from converters.files import Strict, digest, write_bytes, write_json
from leaderboards.planned import NOT_RUN

if TYPE_CHECKING:
    from bench.catalogue import Entry
    from leaderboards.record import Record

SWEEP = Path("sweeps") / "networks.toml"
DATASET = "acdc"
CHANNELS, CLASSES = 1, 4
# Of what is not a file of baselines/networks: paper, whose code, and the axes of its patches.
_FLAT = ("smp", (2,))
_PAPERS = {
    "unetplusplus": ("Zhou et al., DLMIA 2018", *_FLAT),
    "deeplabv3": ("Chen et al., 2017 (arXiv 1706.05587)", *_FLAT),
    "deeplabv3plus": ("Chen et al., ECCV 2018", *_FLAT),
    "segformer": ("Xie et al., NeurIPS 2021", *_FLAT),
    "upernet": ("Xiao et al., ECCV 2018", *_FLAT),
    "dpt": ("Ranftl et al., ICCV 2021", *_FLAT),
}
_COLUMNS = {  # and how they are aligned
    "network": "---",
    **dict.fromkeys(("Dice", "img/s", "memory, GiB", "parameters, M", "MACs, G"), "---:"),
    **dict.fromkeys(("sample", "runs in", "code", "paper"), "---"),
}
_HEAD = """\
# Networks

Written by `make networks` from `sweeps/networks.toml`, `baselines/networks`, `docs/networks.json` (parameters and
multiplications, measured by that command) and the committed records; a test fails when it lags.

A network is `train.net.arch`: `unet` is ours, for 2D and 3D, and what `train.net.widths`, `dropout`, `upsampling` and
`norm` speak of; a file of `baselines/networks` is one more, with `train.net.options` of its own; any other name is an
architecture of segmentation-models-pytorch (smp), 2D, on `train.net.encoder`. Every method takes each of them, with
more decoders, scales or changed features where it asks for those, or refuses with the reason
([methods.md](methods.md)); in a row of a leaderboard a method on another network than `unet` is an adaptation.

```sh
bench run --dataset acdc --set train.net.arch=segnet
bench run --dataset acdc --set train.net.arch=Segformer --set train.net.encoder=mit_b0
```

## ACDC, all labels, one seed

One schedule for all, the preset `cpu` cut to 500 steps of 12 slices, or 250 of 2 patches in 3D. What a network is
worth when it has time is another question. *MACs*: multiplications with addition of one sample, one forward pass, as
the records count them. *img/s*: samples a second in training, steady state, with other work on the machine's second
core: an order of size, no comparison ([speed.md](speed.md) has those). *memory*: the largest of the training process.
*Dice*: mean over structures of the mean over test patients.

"""


class Size(Strict):
    """What was measured of a network."""

    parameters: int
    macs: int  # of one sample, one forward pass


@dataclasses.dataclass(frozen=True)
class Row:
    """A network of the sweep, by the recipe of its run."""

    recipe: Recipe

    @property
    def spec(self) -> NetSpec:
        """As training builds it for ACDC, where the grid is a spacing."""
        train = self.recipe.train
        spacing = (1.0,) * len(train.patch) if isinstance(train.grid, str) else train.grid
        return NetSpec(
            config=train.net,
            in_channels=CHANNELS,
            classes=CLASSES,
            patch=train.patch,
            spacing=spacing,
            precision="fp32",
            channels_last=False,
        )

    @property
    def name(self) -> str:
        """What it is called, with its encoder or its options."""
        net = self.recipe.train.net
        about = _told(net.options) if net.arch in _files() or net.arch == "unet" else f"`{net.encoder}`"
        return f"`{net.arch}`, {about}" if about else f"`{net.arch}`"

    @property
    def key(self) -> str:
        """By which docs/networks.json knows it."""
        return f"{self.name}, {self.patch}".replace("`", "")

    @property
    def patch(self) -> str:
        """Of a sample."""
        return " x ".join(map(str, self.recipe.train.patch))

    @property
    def digests(self) -> set[str]:
        """What a record may name the recipe by: `precision = "auto"` is one or the other."""
        trains = [msgspec.structs.replace(self.recipe.train, precision=precision) for precision in ("fp32", "bf16")]
        return {digest(plain(msgspec.structs.replace(self.recipe, train=train))) for train in trains}

    def cells(self, size: Size, record: "Record | None") -> tuple[str, ...]:
        """Of the table."""
        arch = self.recipe.train.net.arch
        paper, code, ndims = _about(arch)
        measured = (f"{size.parameters / 1e6:.2f}", f"{size.macs / 1e9:.2f}")
        return self.name, *_scored(record), *measured, self.patch, " ".join(f"{n}D" for n in ndims), code, paper


def rows(sweep: Path) -> list[Row]:
    """The networks of a sweep, in its order."""
    found = []
    for unit in read(sweep):
        flags = dict(unit.flags)
        choice = Choice(
            dataset=flags["dataset"],
            preset=flags["preset"],
            settings=unit.settings,
            flags={"protocol": flags["protocol"], "seed": int(flags["seed"])},
        )
        found.append(Row(resolve(choice, bf16=False)))
    return found


def measure(row: Row) -> Size:
    """Build it and count.

    Raises:
        EnvironmentFault: a package that it is made of is not installed.
    """
    import torch

    from baselines.meter import macs
    from baselines.nets import make_net

    with torch.random.fork_rng(devices=[]):
        net = make_net(row.spec)
    image = torch.zeros(1, CHANNELS, *row.recipe.train.patch)
    return Size(parameters=sum(weight.numel() for weight in net.parameters()), macs=macs(net, image))


def page(found: Sequence[Row], sizes: Mapping[str, Size], records: Iterable["Record"]) -> str:
    """docs/networks.md."""
    from leaderboards.table import machine

    made = {record.digests.get("recipe"): record for record in records if record.status == "done"}
    lines = [tuple(_COLUMNS), tuple(_COLUMNS.values())]
    ran = [next((made[name] for name in sorted(row.digests) if name in made), None) for row in found]
    lines += [row.cells(sizes[row.key], record) for row, record in zip(found, ran, strict=True)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    machines = "; ".join(sorted({machine(record) for record in ran if record is not None})) or NOT_RUN
    sections = "\n\n".join(_section(entry) for entry in networks())
    return f"{_HEAD}{table}\n\nMachine: {machines}.\n\n## Files of baselines/networks\n\n{sections}\n"


def publish(root: Path) -> None:
    """Measure, and write docs/networks.json and docs/networks.md."""
    found = rows(root / SWEEP)
    sizes = {row.key: measure(row) for row in found}
    write_json(root / "docs" / "networks.json", sizes)
    write_bytes(root / "docs" / "networks.md", page(found, sizes, committed(root)).encode())


def committed(root: Path) -> "list[Record]":
    """The records of ACDC that are part of the suite."""
    from leaderboards.collect import load

    return load([root / "leaderboards" / "results" / DATASET]).records


def _files() -> set[str]:
    return {entry.name for entry in networks()}


def _about(arch: str) -> tuple[str, str, tuple[int, ...]]:
    """Paper, whose code, and the axes of its patches."""
    if arch in _files():
        from baselines.network import find

        about = find(arch).about
        return about.paper, about.code, about.ndims
    return _PAPERS[arch.lower()] if arch != "unet" else ("Ronneberger et al., MICCAI 2015", "ours", (2, 3))


def _scored(record: "Record | None") -> tuple[str, str, str]:
    """Dice, samples a second and memory."""
    from leaderboards.summary import summarise

    if record is None or record.train is None:
        return NOT_RUN, "", ""
    cost = record.train
    memory = cost.peak_host_mib if cost.peak_device_mib is None else cost.peak_device_mib
    summary = summarise([record.cases], "dice:v1")
    dice = "-" if summary is None else f"{summary.mean:.3f}"
    return dice, f"{cost.items_per_s:.1f}", f"{memory / 1024:.1f}"


def _section(entry: "Entry") -> str:
    from baselines.network import find

    network = find(entry.name)
    about = "\n\n".join(map(escaped, (inspect.getdoc(network.build) or "").split("\n\n")))
    return f"### {entry.name}\n\n*{escaped(entry.about)}*\n\n{about}\n\n- Options: {_told(network.options)}."


def _told(options: Mapping[str, object]) -> str:
    return ", ".join(
        f"`{name} = {list(value) if isinstance(value, tuple) else value}`" for name, value in options.items()
    )
