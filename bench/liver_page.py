"""The page of the CHAOS liver study: what each factor adds, what a slice-level split flatters, every run, box plots."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import msgspec

from bench.arms import DICE, Crossing, Pair, Value, difference, per_slice, per_volume, volumes
from bench.recipe import PHANTOM
from bench.study import PAGE, Run, head
from converters.sliced import slice_of
from leaderboards.change import grid
from leaderboards.escape import markdown
from leaderboards.record import CaseScore, Record
from leaderboards.section import Section
from leaderboards.site.figures import save
from leaderboards.site.plots import boxes
from leaderboards.table import Group

PATIENTS, SLICES = "patients", "slices"
_NAME = re.compile(rf"(?:{PHANTOM})?chaos-liver-(t1|t1t2)-(8|16)bit(-leaky)?")
Scores = Callable[[Iterable[CaseScore]], tuple[CaseScore, ...]]


class Arm(NamedTuple):
    """A run of the crossing, but for its seed."""

    bits: int
    mixed: bool  # T1 and T2, else T1 alone
    augmented: bool
    dropout: bool
    split: str

    @property
    def told(self) -> str:
        """In words, but for the split."""
        of = [f"{self.bits} bit", "T1+T2" if self.mixed else "T1"]
        return ", ".join([*of, *(["augmented"] if self.augmented else []), *(["dropout"] if self.dropout else [])])


FACTORS: Mapping[str, tuple[str, tuple[object, object]]] = {
    "bits": ("8 bit to 16 bit", (8, 16)),
    "augmented": ("augmentation", (False, True)),
    "dropout": ("dropout 0.2", (False, True)),
    "mixed": ("T2 slices mixed in", (False, True)),
}


def arm(record: Record) -> Arm | None:
    """Which run of the crossing a record is of, read off its dataset and recipe; None where it is of another study."""
    found = _NAME.fullmatch(record.dataset)
    train = record.recipe.get("train")
    if found is None or not isinstance(train, dict):
        return None
    return Arm(
        bits=int(found[2]),
        mixed=found[1] == "t1t2",
        augmented=bool(train["augment"]["rotate_degrees"]),
        dropout=bool(train["net"]["options"]["dropout"]),
        split=SLICES if found[3] else PATIENTS,
    )


def page(runs: Sequence[Run]) -> dict[str, bytes]:
    """The tables and box plots."""
    named = [(found, run.record) for run in runs if (found := arm(run.record)) is not None]
    known = Crossing(sorted(named, key=lambda each: each[0]))
    told = [
        "A U-Net on axial slices, liver against the rest, after a student study of CHAOS MR (20 patients). Each of its "
        "choices is a factor of two levels; what is not crossed is the same in all runs. Grey levels are of slices "
        "before they are resized, which mixes neighbours. Scores are of T1 slices."
    ]
    lines = [*head("The CHAOS liver study", runs, told), *_effects(known), *_flattery(known), *_arms(known)]
    files: dict[str, bytes] = {}
    drawings: dict[str, tuple[str, Scores]] = {
        "volumes": ("Dice of T1 volumes", volumes),
        "slices": ("Dice of T1 slices", tuple),
    }
    for name, (title, scores) in drawings.items():
        drawn = boxes(_groups(known, scores), DICE)
        if drawn is not None:
            files[f"{name}.svg"] = save(drawn, title).svg
            lines += ["", f"![{title}]({name}.svg)", "", f"{title}: {_BOXES}"]
    return {PAGE: ("\n".join(lines) + "\n").encode(), **files}


_BOXES = (
    "left the patient-level split, right the slice-level one. Box: quartiles; whiskers: last value within 1.5 times "
    "that; cross: missed or false."
)


def _effects(known: Crossing[Arm]) -> Iterator[str]:
    """What each factor adds on the patient-level split."""
    honest = Crossing[Arm]([])
    honest.arms = {each: found for each, found in known.arms.items() if each.split == PATIENTS}
    rows = []
    for factor, (told, levels) in FACTORS.items():
        found = [honest.effect(factor, levels, value) for value in (per_volume("t1"), per_slice("t1"))]
        if found[0] is not None:
            cells = ["" if each is None else each.told for each in found]
            rows.append([told, *cells, str(found[0].patients), str(found[0].pairs)])
    yield from ("## What each factor adds", "")
    yield "Difference of Dice on patients that training never saw, over all pairs of runs that differ in nothing else;"
    yield "95 % interval over patients (and seeds, where there are several). An interval that holds 0 shows nothing."
    yield "Runs with T2 slices mixed in take twice the steps, so that each slice is seen about as often as without."
    yield ""
    yield from grid(("factor", "per volume", "per slice", "patients", "pairs"), rows)
    yield ""


def _flattery(known: Crossing[Arm]) -> Iterator[str]:
    """What the same runs would report under each split and convention, and the error on the very same slices."""
    ways: dict[str, Value] = {
        "all slices, empty ones count 1": per_slice("t1", empty=1.0),
        "slices with liver in reference or prediction": per_slice("t1"),
        "volumes": per_volume("t1"),
    }
    rows: list[list[str]] = []
    got: list[list[float | None]] = []
    for split in (SLICES, PATIENTS):
        arms = [each for each in known.arms if each.split == split]
        means = [[m for each in arms if (m := known.mean(each, way)) is not None] for way in ways.values()]
        got.append([fmean(found) if found else None for found in means])
        told = ("" if mean is None else f"{mean:.3f}" for mean in got[-1])
        rows.append([f"{split} are split", *told, str(len(arms))])
    gaps = ("" if a is None or b is None else f"{a - b:+.3f}" for a, b in zip(*got, strict=True))
    rows.append(["difference", *gaps, ""])
    yield from ("## What a slice-level split flatters", "")
    yield "What would have been reported, mean over the runs. The study split slices and counted a slice without liver"
    yield "that nothing was found in as 1. Under a slice-level split a volume is those of its slices that were tested."
    yield ""
    yield from grid(("split", *ways, "arms"), rows)
    yield ""
    pairs, slices = _same_slices(known)
    found = difference(pairs)
    if found is not None:
        yield (
            f"On the very same slices ({slices} of {found.patients} patients, tested by both), a network that has seen "
            f"other slices of these patients gets {markdown(found.told)} Dice against one that has not "
            f"({found.pairs} pairs)."
        )
        yield ""


def _same_slices(known: Crossing[Arm]) -> tuple[list[Pair], int]:
    """What each pair of arms got on the slices that both tested, and the largest number of these."""
    pairs: list[Pair] = []
    slices = 0
    for leaky in known.arms:
        honest = leaky._replace(split=PATIENTS)
        if leaky.split != SLICES or honest not in known.arms:
            continue
        tested = [{s.case for r in known.arms[each].values() for s in r.cases} for each in (leaky, honest)]
        only = frozenset(case for case in tested[0] & tested[1] if slice_of(case).stack == "t1")
        slices = max(slices, len(only))
        value = per_slice("t1", empty=1.0, only=only)
        pairs.append((known.values(leaky, value), known.values(honest, value)))
    return pairs, slices


def _arms(known: Crossing[Arm]) -> Iterator[str]:
    """A line for each run of the crossing."""
    ways: dict[str, Value] = {
        "T1 volumes": per_volume("t1"),
        "T1 slices": per_slice("t1"),
        "T1 slices, empty = 1": per_slice("t1", empty=1.0),
        "T2 volumes": per_volume("t2"),
    }
    rows = []
    for each, records in known.arms.items():
        means = [known.mean(each, way) for way in ways.values()]
        ids = " ".join(record.id()[:8] for _, record in sorted(records.items()))
        rows.append([each.told, each.split, *("" if mean is None else f"{mean:.3f}" for mean in means), ids])
    yield from ("## Every run", "")
    yield from grid(("run", "split by", *ways, "records"), rows)


def _groups(known: Crossing[Arm], scores: Scores) -> list[Group]:
    """A row for each run without its split, which becomes the panel."""
    rows: dict[Arm, list[Record]] = {}
    for each, records in known.arms.items():
        row = rows.setdefault(each._replace(split=""), [])
        for record in records.values():
            kept = scores(score for score in record.cases if slice_of(score.case).stack == "t1")
            panel = tuple(msgspec.structs.replace(score, label=f"split by {each.split}") for score in kept)
            row.append(msgspec.structs.replace(record, cases=panel))
    return [Group(Section.of(of[0]), each.told, "", tuple(of)) for each, of in rows.items()]
