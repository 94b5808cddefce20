"""README.md of a dataset: what it is, how it may be used, its numbers. Made of sidecars and card/, reads no voxel."""

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from converters.casecard import CaseCard, Intensity, Legend
from converters.dataset import Case, Dataset
from converters.files import natural_key
from converters.leaks import verdict

Cards = Mapping[str, CaseCard]  # by case id

_BINS, _BAR = 8, 20
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")


def readme(dataset: Dataset, cards: Cards, pictured: int) -> str:
    """The page as Markdown.

    Args:
        dataset: what it is about.
        cards: of the cases that have one.
        pictured: how many cases montage.png shows.
    """
    sections = {
        "": _head(dataset, pictured),
        "To know": _notes(dataset),
        "Use": _use(dataset),
        "Spacing": _spacings(dataset),
        "Structures": _volumes(dataset),
        "Intensities": _intensities(dataset, cards),
        "Annotations": _annotations(dataset),
        "Leak check": [f"- {line}" for line in verdict(dataset)],
    }
    text = [f"# {dataset.name}"]
    for title, made in sections.items():
        lines = list(made)
        if lines:
            text += ["", f"## {title}"] if title else []
            text += ["", *lines]
    return "\n".join(text) + "\n"


def _head(dataset: Dataset, pictured: int) -> Iterator[str]:
    file, card, cases = dataset.file, dataset.file.bench, dataset.cases
    labelled = sum(case.label is not None for case in cases)
    yield (
        f"Cases: {len(cases)}, of {len(dataset.subjects)} subjects; with a reference label: {labelled}. Version "
        f"{card.version}. Written by `bench convert`; `bench check` verifies it. The format is `docs/format.md`."
    )
    if pictured:
        yield from ("", f"![{pictured} of {len(cases)} cases](montage.png)", "")
        yield (
            f"{pictured} of {len(cases)} cases, evenly chosen: the slice that holds most of the structures, or the "
            "middle one. As radiologists look at it: R, the person's right, on the left; A is the front."
        )
    yield ""
    yield from _table(
        ("", ""),
        [
            ("source", f"{card.source.collection} {card.source.version}".strip()),
            ("DOI", card.source.doi or "none"),
            ("licence", file.licence),
            ("channels", ", ".join(f"{c.name} ({c.modality})" for c in card.channels)),
            ("structures", ", ".join(f"{name} = {_codes(value)}" for name, value in file.labels.items())),
            ("voxels", _range(case.geometry.shape for case in cases)),
            ("spacing (mm)", _range(case.geometry.spacing_mm for case in cases)),
            ("axes in the source", _counted(case.geometry.source_orientation for case in cases)),
            ("voxel types", _counted(image.dtype for case in cases for image in case.images.values())),
            *_prepared(dataset),
            ("content", f"sha256 {card.content_sha256}"),
        ],
    )


def _use(dataset: Dataset) -> Iterator[str]:
    yield f"Licence: {dataset.file.licence}; see LICENSE.txt. It is that of the collection."
    yield ""
    yield f"Cite: {_cell(dataset.file.bench.citation)}"


def _notes(dataset: Dataset) -> Iterator[str]:
    card = dataset.file.bench
    yield from (f"- {' and '.join(subjects)} have the same images" for subjects in card.copies)
    yield from (f"- {_cell(warning)}" for warning in card.warnings)
    if any(not case.geometry.spacing_known for case in dataset.cases):
        count = sum(not case.geometry.spacing_known for case in dataset.cases)
        yield f"- {_cases(count)}: the files say nothing of millimetres; the spacing counts as 1"
    yield from (f"- {line}" for line in summarised(dataset.cases))


def summarised(cases: Iterable[Case]) -> Iterator[str]:
    """The warnings of all cases: one line for those that differ in their numbers alone, most frequent first."""
    told: dict[str, list[tuple[str, str]]] = {}
    for case in cases:
        for warning in case.warnings:
            told.setdefault(_NUMBER.sub("#", warning), []).append((case.id, warning))
    for found in sorted(told.values(), key=lambda found: (-len({case for case, _ in found}), found[0][1])):
        names, texts = {case for case, _ in found}, {text for _, text in found}
        name, first = found[0]
        who = f"case {name}" if len(names) == 1 else _cases(len(names))
        such = f"such as, of {name}: " if len(texts) > 1 else ""
        yield f"{who}: {such}{_cell(first)}"


def _cases(count: int) -> str:
    return f"{count} case{'' if count == 1 else 's'}"


def _prepared(dataset: Dataset) -> Iterator[tuple[str, str]]:
    if steps := {**dataset.file.bench.preparation}:
        yield "preparation", "; ".join(f"{name}: {value}" for name, value in sorted(steps.items()))


def _spacings(dataset: Dataset) -> Iterator[str]:
    if any(not case.geometry.spacing_known for case in dataset.cases):
        return
    grids = [case.geometry for case in dataset.cases]
    plane = [s for grid in grids for axis, s in enumerate(grid.spacing_mm) if axis != grid.slice_axis]
    shown = {"in plane (mm)": (plane, "axes")}
    if dataset.file.bench.ndim == 3:
        shown["slice step (mm)"] = [grid.spacing_mm[grid.slice_axis] for grid in grids], "cases"
    for number, (title, (values, of)) in enumerate(shown.items()):
        yield from [""] if number else []
        yield from _table((title, of, ""), _histogram(values))


def _histogram(values: Sequence[float]) -> Iterator[tuple[str, str, str]]:
    """Each value with its count where there are few of them, else equal bins."""
    exact = Counter(round(value, 3) for value in values)
    if len(exact) <= _BINS:
        bins = {f"{value:g}": count for value, count in sorted(exact.items())}
    else:
        low, high = min(exact), max(exact)
        width = (high - low) / _BINS
        placed = Counter(min(_BINS - 1, int((value - low) / width)) for value in values)
        bins = {f"{low + k * width:.3g}-{low + (k + 1) * width:.3g}": placed[k] for k in range(_BINS)}
    most = max(bins.values())
    for name, count in bins.items():
        yield name, str(count), "#" * math.ceil(_BAR * count / most)


def _volumes(dataset: Dataset) -> Iterator[str]:
    labelled = [case for case in dataset.cases if case.label is not None]
    if not labelled:
        return
    unit, measure = _measure(dataset)
    rows = []
    for name, codes in Legend.of(dataset).structures.items():
        counts = [(case, sum(_voxels(case, code) for code in codes)) for case in labelled]
        sizes = [count * measure(case) for case, count in counts if count]
        rows.append((name, f"{len(sizes)} of {len(labelled)}", *_median_and_range(sizes)))
    yield from _table(("structure", "cases that hold it", f"median ({unit})", f"range ({unit})"), rows)


def _voxels(case: Case, code: int) -> int:
    return 0 if case.label is None else case.label.voxels.get(str(code), 0)


def _measure(dataset: Dataset) -> tuple[str, Callable[[Case], float]]:
    """Unit of a structure's size, and what one voxel of a case is in it."""
    if any(not case.geometry.spacing_known for case in dataset.cases):
        return "voxels", lambda case: 1.0
    if dataset.file.bench.ndim == 2:
        return "cm²", lambda case: math.prod(case.geometry.spacing_mm[:2]) / 100
    return "mL", lambda case: math.prod(case.geometry.spacing_mm) / 1000


def _intensities(dataset: Dataset, cards: Cards) -> Iterator[str]:
    rows = []
    for channel in dataset.file.bench.channels:
        for name in Legend.of(dataset).structures:
            found = [here[name] for card in cards.values() if name in (here := card.intensity.get(channel.name, {}))]
            if found:
                unit = channel.unit or "arbitrary"
                rows.append((f"{channel.name} ({unit})", name, *_spread(found)))
    if rows:
        yield "Inside the reference labels, case by case: the mean (its median and range over cases), the standard"
        yield "deviation (its median), and the lowest and highest voxel of all."
        yield ""
        yield from _table(("channel", "structure", "mean", "range of means", "SD", "voxels"), rows)
    elsewhere = [
        (c.name, _extremes([case.images[c.name].range for case in dataset.cases if c.name in case.images]))
        for c in dataset.file.bench.channels
    ]
    yield from [""] if rows else []
    yield from _table(("channel", "lowest and highest voxel of whole images"), elsewhere)


def _spread(found: Sequence[Intensity]) -> tuple[str, str, str, str]:
    middle, ends = _median_and_range([one.mean for one in found])
    sd = statistics.median(one.sd for one in found)
    return middle, ends, f"{sd:.4g}", _extremes([(one.low, one.high) for one in found])


def _annotations(dataset: Dataset) -> Iterator[str]:
    rows = []
    for one in dataset.file.bench.annotation_sets:
        shares = [100 * c.annotations[one.id].annotated_fraction for c in dataset.cases if one.id in c.annotations]
        rows.append((one.id, one.kind, one.origin, f"`{one.path}/`", str(len(shares)), *_median_and_range(shares)))
    if rows:
        titles = ("set", "kind", "origin", "folder", "cases", "annotated (%)", "range (%)")
        yield from ["255 = not annotated.", "", *_table(titles, rows)]


def _median_and_range(values: Sequence[float]) -> tuple[str, str]:
    if not values:
        return "none", ""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.4g}", f"{low:.4g} to {high:.4g}"


def _extremes(pairs: Sequence[tuple[float, float]]) -> str:
    return f"{min(low for low, _ in pairs):.6g} to {max(high for _, high in pairs):.6g}" if pairs else ""


def _codes(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) else "+".join(map(str, value))


def _counted(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{word} ({counts[word]})" for word in sorted(counts, key=natural_key))


def _range(rows: Iterable[Sequence[float]]) -> str:
    """Smallest to largest value along each axis."""
    ends = [(min(column), max(column)) for column in zip(*rows, strict=True)]
    return " x ".join(f"{low:g}" if low == high else f"{low:g}-{high:g}" for low, high in ends)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows)


def _cell(text: str) -> str:
    """Text that stays one cell, or one line, and is never taken for markup."""
    return re.sub(r"\s+", " ", text).replace("|", r"\|").replace("<", "&lt;")
