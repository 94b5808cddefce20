"""The tables that stand on pages alone: per label, pair by pair, over datasets, and what metrics mean."""

from collections.abc import Sequence

from leaderboards import columns, tasks
from leaderboards.columns import Block, Table
from leaderboards.overall import overall
from leaderboards.site import plots
from leaderboards.site.content import Content
from leaderboards.standing import pairwise
from leaderboards.summary import bounds, family, leading, ranked
from leaderboards.table import Row
from leaderboards.wording import Cell

MEANINGS = {
    "dice": "overlap of prediction and reference, 0 to 1; higher is better",
    "iou": "intersection over union, 0 to 1; higher is better",
    "nsd": "share of both surfaces that lies within the tolerance of the other, 0 to 1; higher is better",
    "hd": "largest distance between the surfaces in mm; lower is better",
    "hd95": "95th percentile of the distance between the surfaces in mm; lower is better",
    "assd": "mean distance between the surfaces in mm, both directions pooled; lower is better",
    "masd": "mean distance between the surfaces in mm, mean of both directions; lower is better",
    "ravd": "difference of the volumes in % of the reference; lower is better",
    **tasks.MEANINGS,
}


def of(rows: Sequence[Row], kind: str) -> list[str]:
    """The definitions of a family that rows have."""
    return sorted({definition for row in rows for definition in row.macro if family(definition) == kind})


def first(rows: Sequence[Row]) -> list[str]:
    """What rows are put in order by: Dice, or what their task has in its place."""
    return leading({definition for row in rows for definition in row.macro})


def of_labels(rows: Sequence[Row]) -> list[Row]:
    """Those whose task is a label map: a mean over tasks would mix what cannot be compared."""
    return [row for row in rows if row.section.task == "labels"]


def meanings(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The headline definitions that rows have, and what each says."""
    found = sorted({definition for row in rows for definition in row.macro})
    return [(definition, MEANINGS[family(definition)]) for definition in found if family(definition) in MEANINGS]


def per_label(rows: Sequence[Row]) -> Table:
    """Dice and HD95 of each label; of another task what its rows are put in order by."""
    labels = list(dict.fromkeys(label for row in rows for label in row.labels))
    wanted = [(label, definition) for label in labels for definition in (*first(rows), *of(rows, "hd95"))]
    shared = columns.shared_fields(rows)
    blocks = tuple(
        Block(
            columns.section_title(members[0].section, shared),
            tuple((Cell(columns.name(row)), *(_labelled(row, *each) for each in wanted)) for row in members),
        )
        for members in columns.by_section(rows)
    )
    heads = [f"{label}: {plots.metric(definition)}" for label, definition in wanted]
    notes = ("Dice: mean; HD95: median and quartiles over test subjects",) if of(rows, "dice") else ("means",)
    return Table(f"{columns.table_title(rows[0].section)} · per label", ("method", *heads), blocks, notes)


def _labelled(row: Row, label: str, definition: str) -> Cell:
    found = row.labels.get(label, {}).get(definition)
    if found is None:
        return Cell("")
    if leading([definition]):
        return Cell(f"{found.mean:.{3 if bounds(definition)[1] == 1 else 2}f}", found.mean)
    return Cell(f"{found.median:.1f} ({found.q1:.1f}–{found.q3:.1f})", found.median)


def pairs(content: Content, members: Sequence[Row]) -> list[Table]:
    """Every two rows of a section, and whether one may be called better."""
    groups = content.groups(members)
    blocks = []
    for definition in ranked(d for row in members for d in row.macro):
        tests = pairwise(groups, definition)
        lines = tuple(
            (
                Cell(f"{test.a} − {test.b}"),
                Cell(f"{test.difference:+.3f}", test.difference),
                Cell(f"[{test.low:+.3f}, {test.high:+.3f}]", test.low),
                _p(test.wilcoxon),
                _p(test.two_way),
                Cell(f"{test.chance:.2f}", test.chance),
                Cell(f"{test.better} is better" if test.better else "not told apart"),
            )
            for test in tests
        )
        blocks += [Block(f"by {plots.metric(definition)}", lines)] if lines else []
    heads = ("pair", "difference", "95 % interval", "p, Wilcoxon (Holm)", "p, two-way", "P(first better)", "claim")
    notes = ("A claim needs both p below 0.05; the two-way test needs two seeds on each side.",)
    title = f"{columns.section_title(members[0].section)} · pairs"
    return [Table(title, heads, tuple(blocks), notes)] if blocks else []


def _p(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(f"{value:.3f}" if value >= 0.001 else "< 0.001", value)


def over_datasets(content: Content, names: Sequence[str]) -> list[Table]:
    """One ranking per protocol over datasets, where at least two of them can be ranked."""
    made = []
    for name in dict.fromkeys(protocol for dataset in names for protocol in content.datasets[dataset]):
        rows = of_labels([row for dataset in names for row in content.datasets[dataset].get(name, ())])
        if len({row.section.dataset for row in rows}) < 2:
            continue
        found, _ = overall(content.groups(rows))
        lines = tuple(
            (
                Cell(f"{one.method} ({one.variant})" if one.variant else one.method),
                Cell(str(one.place), one.place),
                Cell(f"{one.rank:.2f} [{one.low:.2f}–{one.high:.2f}]", one.rank),
                Cell(f"{one.first:.2f}", one.first),
                *(Cell(str(rank), rank) for rank in one.ranks.values()),
            )
            for one in found
        )
        heads = ("method", "place", "mean rank [95 %]", "P(place 1)", *(found[0].ranks if found else ()))
        made += (
            [Table(f"{name}, over datasets and metrics", heads, (Block("by mean rank", lines),), ())] if found else []
        )
    return made
