"""A page for each method: what its class says, how to run it, and what the committed records have of it."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from bench import zoo
from docsite.markdown import ROOT, sh, table
from leaderboards import collect
from leaderboards.summary import family
from leaderboards.table import Row, rows

FOLDER = "methods"
_PROTOCOLS = {"full": "full", "semi": "semi10", "scribble": "scribble", "noisy": "noisy50"}
_RESULTS = PurePosixPath("../results")


def pages() -> Iterator[tuple[str, str]]:
    """(place on the site, Markdown)."""
    found = zoo.rows()
    scored, _ = rows(collect.load([ROOT / "leaderboards" / "results"]).records)
    lines = [(f"[{row.name}]({row.name}.md)", zoo.escaped(row.about), *row.cells[1:3]) for row in found]
    head = ("method", "", "paper", "made for")
    text = "All of them in one page, with what is counted and how: [methods](../methods.md)."
    yield f"{FOLDER}/index.md", "\n\n".join(("# Methods", text, table(head, lines))) + "\n"
    for row in found:
        yield f"{FOLDER}/{row.name}.md", _page(row, [one for one in scored if one.method == row.name])


def _page(row: zoo.Row, scored: Sequence[Row]) -> str:
    made_for = [_PROTOCOLS[kind] for kind in row.cls.protocols if kind in _PROTOCOLS]
    runs = [f"bench run --dataset acdc --protocol {protocol} --method {row.name}" for protocol in made_for]
    heading, _, section = zoo.section(row).partition("\n")
    facts = table(("paper", "made for", "runs in", "parameters", "beside it", "stages", "ranks"), [row.cells[1:]])
    parts = [
        heading.removeprefix("#"),
        section.strip(),
        facts,
        "## Run it",
        sh(*runs),
        "## In the tables",
        _scores(scored),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(scored: Sequence[Row]) -> str:
    if not scored:
        return "No committed record has it yet: not run."
    return table(("dataset", "protocol", "variant", "seeds", "mean Dice"), (_score(row) for row in scored))


def _score(row: Row) -> tuple[str, ...]:
    of = row.section
    dice = next((f"{value.mean:.3f}" for name, value in row.macro.items() if family(name) == "dice"), "-")
    return f"[{of.dataset}]({_RESULTS}/{of.dataset}.md)", of.protocol, row.variant or "-", str(row.seeds), dice
