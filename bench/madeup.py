"""Made-up patients in their native layout, converted and checked like real ones."""

import dataclasses
import importlib
from pathlib import Path

from bench.output import say
from bench.splits import freeze_default
from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.datasheet import refresh
from converters.errors import BenchError
from converters.preparation import NOTHING, Preparation


@dataclasses.dataclass(frozen=True)
class How:
    """What is said of them beside how many they are."""

    quirks: object | None = None  # of the phantom; None: as it comes
    preparation: Preparation = NOTHING
    name: str | None = None  # of the dataset, but for `phantom-`


PLAIN = How()


def made_up(source: str, raw: Path, data: Path, people: tuple[int, int], how: How = PLAIN) -> None:
    """Write `people` (how many, from which seed) below `raw`, once, and convert them to `data`.

    Raises:
        BenchError: a case does not convert, or a dataset does not pass its check.
    """
    cases, seed = people
    tree = raw / f"{source}-{cases}-{seed}"
    if not tree.is_dir():
        # Written beside its place first: an interrupted call leaves no half a tree behind.
        draft = tree.with_name(f"{tree.name}.part")
        module = importlib.import_module(f"converters.phantoms.{source}")
        module.write(draft, cases, seed, *([how.quirks] if how.quirks is not None else []))
        draft.rename(tree)
    for report in convert(source, tree, data, preparation=how.preparation, name=how.name):
        if report.failures:
            raise report.failures[0]
        freeze_default(Dataset.load(report.root))
        refresh(report.root)
        if problems := check(report.root):
            raise BenchError("; ".join(problems), where=report.root)
        say(f"{report.name}: {report.cases} cases converted, checked")
