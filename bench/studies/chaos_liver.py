"""The CHAOS liver study: grey levels, augmentation, dropout, sequences crossed, and what a slice-level split flatters.

The student study behind it (a U-Net on slices of CHAOS MR, best Dice 0.89) split slices, not patients. Here each of its
choices is a factor of two levels, each run an ordinary recipe, and the split is a factor as well.
"""

import itertools
import json
from collections.abc import Sequence

from bench.liver_page import page
from bench.locate import locate
from bench.madeup import made_up
from bench.splits import DEFAULT, freeze_default, order
from bench.study import Asked, Size, size_of, table
from converters.convert import write
from converters.dataset import Dataset, Split
from converters.datasheet import refresh
from converters.files import write_json
from converters.plan import planned
from converters.sliced import Bits, Slicing, Stack, asked, slice_of, sliced

__all__ = ["CASES", "SIZES", "page", "prepare", "sweep"]

CASES = 10
TORN = "slices"  # the split of the leaky datasets
# Adam at a constant rate without decay, cross-entropy, batches of 4 and 10 000 steps (about 90 epochs of 450 slices).
# `steps` are those on T1 alone. Of 16 bits bfloat16 would leave 8.
_ADAM = {
    "optimizer": '"adamw"',
    "lr": "0.001",
    "weight_decay": "0.0",
    "power": "0.0",
    "precision": '"fp32"',
}


def _net(widths: str) -> dict[str, str]:
    return {"net.arch": '"unet_liver"', "net.options.widths": widths}


SIZES = {
    "published": Size(
        "published",
        _ADAM | {"steps": "10000", "batch": "4", "patch": "[256, 256]"} | _net("[64, 128, 256, 512, 1024]"),
    ),
    "cpu": Size("cpu", _ADAM | {"steps": "1500", "batch": "8"} | _net("[16, 32, 64, 128, 256]")),
    "demo": Size("demo", _ADAM | {"steps": "400"} | _net("[8, 16, 32, 64]")),
    "tiny": Size(
        "demo",
        _ADAM | {"steps": "4", "batch": "4", "patch": "[16, 16]", "threads": "1"} | _net("[4, 8]"),
    ),
}
_STILL = "{ rotate_degrees = 0.0, scale = 0.0, shift = 0.0, flip = false, gamma = 0.0, contrast = 0.0, noise = 0.0 }"
# Augmentor in the study: turned by up to 10 degrees, mirrored left and right, zoomed by 0.85.
_MOVED = "{ rotate_degrees = 10.0, scale = 0.15, shift = 0.0, flip = true, gamma = 0.0, contrast = 0.0, noise = 0.0 }"
_DROPPED = 0.2


def prepare(study: Asked) -> None:
    """Slice T1 in phase and T2 of CHAOS: each factor of the data is a dataset.

    Raises:
        BenchError: `chaos-mr-t1` or `chaos-mr-t2` has not been converted.
    """
    if study.phantom:
        made_up("chaos", study.out / "raw", study.data, (study.cases or CASES, 0))
    t1, t2 = (locate(f"{study.prefix}chaos-mr-{name}", study.data) for name in ("t1", "t2"))
    stacks = (Stack(t1, "in-phase", "t1"), Stack(t2, "t2", "t2"))
    for slicing in _slicings(study.prefix):
        cut(stacks if _mixed(slicing) else stacks[:1], slicing, study)


def _slicings(prefix: str) -> list[Slicing]:
    depths: tuple[Bits, ...] = (8, 16)
    return [
        Slicing(f"{prefix}chaos-liver-{of}-{bits}bit{'-leaky' if alone else ''}", "liver", bits, alone)
        for of in ("t1", "t1t2")
        for bits in depths
        for alone in (False, True)
    ]


def _mixed(slicing: Slicing) -> bool:
    return "-t1t2-" in slicing.name


def cut(stacks: Sequence[Stack], slicing: Slicing, study: Asked) -> None:
    """One dataset of slices, with its splits and its card; what is there already stays.

    Raises:
        BenchError: a slice does not convert, or its default split is one that another version made.
    """
    root = study.data / slicing.name
    wanted = dict(asked(stacks, slicing))
    if not (root / "dataset.json").is_file() or Dataset.load(root).file.bench.preparation != wanted:
        report = write(planned(study.data, study.data, sliced(stacks, slicing)), study.jobs)
        if report.failures:
            raise report.failures[0]
    # Also where the data was there: an earlier call may have been killed before these.
    dataset = Dataset.load(root)
    freeze_default(dataset)
    if slicing.alone:
        write_json(root / "splits" / f"{TORN}.json", torn(dataset))
    refresh(root)


def torn(dataset: Dataset) -> Split:
    """70/10/20 % of the slices of each volume, in hash order: every patient stands on every side."""
    volumes: dict[tuple[str, str], list[str]] = {}
    for case in dataset.cases:
        volumes.setdefault(slice_of(case.id)[:2], []).append(case.id)
    sides: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for slices in volumes.values():
        rest = list(order(slices, "split"))
        for side, share in (("test", 0.2), ("val", 0.1)):
            keep = len(rest) - max(1, round(share * len(slices)))
            sides[side] += rest[keep:]
            del rest[keep:]
        sides["train"] += rest
    return Split(
        name=TORN,
        dataset=dataset.name,
        content_sha256=dataset.file.bench.content_sha256,
        train=tuple(sides["train"]),
        val=tuple(sides["val"]),
        test=tuple(sides["test"]),
        source="frugalseg: 70/10/20 % of the slices of each volume in the order of sha256('split/<slice>')",
    )


def sweep(study: Asked) -> str:
    """Eight datasets, augmentation and dropout off and on: 32 runs a seed.

    Those on T1 and T2 take twice the steps, so that each slice is seen as often: a study in epochs does the same.
    """
    size = size_of(SIZES, study)
    twice = f"train.steps = {2 * int(size.train['steps'])}"
    lines = [
        "# Made by `bench study chaos-liver`; `bench sweep` makes the same runs, here or on a cluster.",
        "[defaults]",
        f'preset = "{size.preset}"',
        'method = "ce"',
        f"seed = {list(study.seeds)}",
        "",
        *table(size.train, "defaults.train"),
    ]
    crossed = itertools.product((DEFAULT, TORN), (False, True), (_STILL, _MOVED), (0.0, _DROPPED))
    for split, mixed, moved, share in crossed:
        of = (split == TORN, mixed)
        names = [each.name for each in _slicings(study.prefix) if (each.alone, _mixed(each)) == of]
        lines += ["[[run]]", f"dataset = {json.dumps(names)}", f'split = "{split}"', *([twice] if mixed else [])]
        lines += [f"train.augment = {moved}", f"train.net.options.dropout = {share}", ""]
    return "\n".join(lines)
