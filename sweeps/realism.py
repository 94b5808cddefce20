"""How like an expert's are simulated scribbles, and how wrong are noisy labels? Tables of docs/protocols.md.

    OMP_NUM_THREADS=1 .venv/bin/python sweeps/realism.py data/acdc

Twenty training subjects of split `ssl4mis`, the first by hash draw 0, both phases, of a converted ACDC: a minute and a
half on one core.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from skimage.morphology import skeletonize

from bench import splits
from bench.annotator import Given, LabelMap, find
from bench.annotator_options import OPTIONS
from bench.budget import read
from bench.planes import depth
from converters.dataset import IGNORE, Case, Dataset
from converters.files import sha256

SUBJECTS = 20
DRAWN_BY = ("expert", "scribble", "skeleton", "curve")
NOISE = ("dilate", "erode", "edge", "affine", "elastic", "polygon", "missing", "swap", "jsrt")
SEVERITIES = (0.25, 0.5, 1.0)


def drawn_by(dataset: Dataset, case: Case, name: str, options: Mapping[str, float]) -> LabelMap:
    """The label map of a case by an annotator, from the seeds of protocol `scribble` at draw 0."""
    assert case.label is not None
    seed = int(sha256(f"scribble/v1/0/{case.id}".encode()), 16)
    label, rng, geometry = read(dataset, case.label), np.random.default_rng(seed), case.geometry
    return find(name)(Given(label, None, geometry.spacing_mm, geometry.slice_axis, rng, options, seed))


def strokes(dataset: Dataset, case: Case, name: str) -> LabelMap:
    """The scribbles of a case."""
    if name == "expert":
        return read(dataset, next(one for one in case.annotations.values() if one.kind == "scribble"))
    return drawn_by(dataset, case, name, OPTIONS[name])


def measured(dataset: Dataset, case: Case, name: str) -> Iterator[tuple[int, tuple[float, ...]]]:
    """For every class in every slice: pixels, of these drawn on, length of the lines in mm, depths in mm."""
    assert case.label is not None
    first, second = (s for axis, s in enumerate(case.geometry.spacing_mm) if axis != case.geometry.slice_axis)
    volumes = (
        np.moveaxis(v, case.geometry.slice_axis, 0) for v in (read(dataset, case.label), strokes(dataset, case, name))
    )
    for label, drawn in zip(*volumes, strict=True):
        for code in np.unique(label[label != IGNORE]):
            region, mark = label == code, drawn == code
            line = np.asarray(skeletonize(mark)) > 0
            inward = depth(region, (first, second))
            here = inward[mark & region]
            away = float(here.mean()) if here.size else 0.0
            yield int(code), (region.sum(), mark.sum(), line.sum() * (first + second) / 2, away, float(inward.max()))


def strokes_table(dataset: Dataset, cases: tuple[Case, ...]) -> Iterator[str]:
    """One row for each annotator and class."""
    names = {0: "background", **{int(code): label for label, code in dataset.labels.items() if isinstance(code, int)}}
    yield "| drawn by | class | slices with a stroke, % | annotated, % of the class | line, mm | depth, mm | share |"
    yield "|---|---|---|---|---|---|---|"
    for name in DRAWN_BY:
        rows: dict[int, list[tuple[float, ...]]] = {}
        for case in cases:
            for code, values in measured(dataset, case, name):
                rows.setdefault(code, []).append(values)
        for code in sorted(rows):
            area, drawn, length, away, deepest = np.array(rows[code], float).T
            there = drawn > 0
            numbers = (
                f"{100 * there.mean():.1f}",
                f"{100 * drawn.sum() / area.sum():.2g}",
                f"{np.median(length[there]):.0f}",
                f"{np.median(away[there]):.1f}",
                f"{np.median(away[there] / deepest[there]):.2f}",
            )
            yield f"| `{name}` | {names[code]} | {' | '.join(numbers)} |"


def noise_table(dataset: Dataset, cases: tuple[Case, ...]) -> Iterator[str]:
    """One row for each kind of noise: mean and SD over cases of the mean Dice of the structures."""
    yield "| kind | " + " | ".join(f"severity {severity:g}" for severity in SEVERITIES) + " |"
    yield "|---|" + "---|" * len(SEVERITIES)
    for name in NOISE:
        found = []
        for severity in SEVERITIES:
            options = OPTIONS[name] | {"severity": severity}
            dices = [agreement(dataset, case, name, options) for case in cases]
            found.append(f"{np.mean(dices):.2f} ({np.std(dices, ddof=1):.2f})")
        yield f"| `{name}` | {' | '.join(found)} |"


def agreement(dataset: Dataset, case: Case, name: str, options: Mapping[str, float]) -> float:
    """Mean Dice of the structures of a case, disturbed against clean."""
    assert case.label is not None
    label, noisy = read(dataset, case.label), drawn_by(dataset, case, name, options)
    codes = [code for code in np.unique(label) if code not in (0, IGNORE)]
    both = [(noisy == code, label == code) for code in codes]
    return float(np.mean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in both]))


def main(folder: Path) -> None:
    """Print both tables."""
    dataset = Dataset.load(folder)
    cases = dataset.only(splits.order(dataset.split("ssl4mis").train, 0)[:SUBJECTS]).cases
    for table in (strokes_table, noise_table):
        for row in table(dataset, cases):
            sys.stdout.write(row + "\n")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
