"""A page for each protocol, with a picture of what it shows of a made-up heart, and the annotators that draw for it."""

import ast
from collections.abc import Iterator

from bench import catalogue
from bench.annotator_options import RANGES
from bench.protocols import PROTOCOLS, Protocol, choices
from docsite.markdown import ROOT, described, sh, table

FOLDER = "protocols"
_SEEN = (
    "Contours are dense labels. Of sparse ones each voxel that somebody drew is shown, white where it is background; "
    "the rest is 255, annotated by nobody."
)
_BOTH = ("expert", "scribble")  # that "expert-else-scribble" stands for


def pages() -> Iterator[tuple[str, str]]:
    """(place on the site, Markdown)."""
    about = {entry.name: entry.about for entry in catalogue.protocols()}
    rows = [(f"[{one.name}]({one.name}.md)", str(one.version), about[one.name]) for one in PROTOCOLS]
    head = "A protocol says which voxels somebody annotated, and how well. The rules: [protocols, splits and views]"
    text = f"{head}(../protocols.md). What each costs a person in minutes is estimated there, too."
    yield f"{FOLDER}/index.md", "\n\n".join(("# Protocols", text, table(("protocol", "version", "shows"), rows))) + "\n"
    for one in PROTOCOLS:
        yield f"{FOLDER}/{one.name}.md", _page(one, about[one.name])


def _page(one: Protocol, about: str) -> str:
    parts = [
        f"# {one.name}",
        f"Version {one.version}: {about}.",
        f"<!-- picture: protocols/{one.name} | what {one.name} shows of a made-up heart -->",
        _SEEN,
        sh(
            f"bench view data/acdc --protocol {one.name}       # write what training may see",
            f"bench show views/acdc/{one.name}                 # look at it",
            f"bench run --dataset acdc --protocol {one.name}",
        ),
        "## Who draws",
        *(_annotator(name) for name in _annotators(one)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _annotators(one: Protocol) -> tuple[str, ...]:
    """All that may be named after --annotator; where there is no choice, the one."""
    return tuple(dict.fromkeys(part for name in choices(one) for part in (_BOTH if "-else-" in name else (name,))))


def _annotator(name: str) -> str:
    path = ROOT / "bench" / "annotators" / f"{name}.py"
    about = described(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
    rows = ((f"`{key}`", f"{option.default:g}", option.range) for key, option in RANGES.get(name, {}).items())
    told = table(("option", "default", "may be"), rows) if name in RANGES else ""
    return "\n\n".join(part for part in (f"### {name}", about, told) if part)
