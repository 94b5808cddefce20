"""Which page is of which kind: a start to follow, a task to do, a rule to look up, or an explanation to read."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from docsite.markdown import ROOT

DOCS = ROOT / "docs"
START = ("index.md", "start/first-hour.md")
HOW_TO = (
    "how-to/own-images.md",
    "how-to/score-predictions.md",
    "how-to/compare-methods.md",
    "how-to/read-records.md",
    "moving.md",
    "download.md",
    "folder.md",
    "preparation.md",
    "export.md",
    "predict.md",
    "transfer.md",
    "datastores.md",
    "studies.md",
    "studies/chaos-liver/index.md",
    "studies/lung-tumour/index.md",
    "presets.md",
    "sweep.md",
    "ranks.md",
    "tracking.md",
    "doctor.md",
    "submit.md",
    "gate.md",
    "site.md",
    "io.md",
    "extend.md",
)
EXPLANATION = ("explanation/idea.md", "explanation/numbers.md", "simulation.md", "growth.md", "speed.md")
Nav = list[object]  # as mkdocs wants it: places, and {title: nav}


def nav(made: Mapping[str, str]) -> Nav:
    """The navigation, over the pages that are there. `made`: place -> Markdown of pages that are not in docs/.

    A page of docs/ that nobody has given a kind is a rule.
    """
    written = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
    rules = [place for place in written if place not in (*START, *HOW_TO, *EXPLANATION)]
    sections = {
        "Start": _there(START, written),
        "How-to": _there(HOW_TO, written),
        "Datasets": _below("datasets", made),
        "Protocols": _below("protocols", made),
        "Methods": _below("methods", made),
        "Reference": [
            {"Rules": rules},
            {"Commands": _below("reference/commands", made)},
            {"Python": _packages(made)},
            *_below("schemas", made),
        ],
        "Explanation": _there(EXPLANATION, written),
        "Results": _below("results", made),
        "Project": [place for place in ("contributing.md", "security.md", "changelog.md") if place in made],
    }
    return [{title: found} for title, found in sections.items() if found]


def _there(wanted: Iterable[str], written: Iterable[str]) -> Nav:
    known = set(written)
    return [place for place in wanted if place in known]


def _below(folder: str, made: Iterable[str]) -> Nav:
    """Its pages, the index first."""
    places = [place for place in made if Path(place).parent.as_posix() == folder]
    return [*sorted(places, key=lambda place: (not place.endswith("/index.md"), place))]


def _packages(made: Iterable[str]) -> Nav:
    """Their pages list the modules, which are too many to stand beside every page."""
    indexes = [place for place in made if re.fullmatch(r"reference/python/\w+/index\.md", place)]
    return [*_below("reference/python", made), *indexes]
