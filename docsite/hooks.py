"""What mkdocs calls: generated pages and pictures join docs/, and pages written for GitHub are read as meant."""

import functools
import logging
import re
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.zoo import escaped
from docsite import commands, datasets, methods, modules, protocols
from docsite.markdown import ROOT, SITE, relinked, separated, table
from docsite.nav import DOCS, nav

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MADE = ROOT / "build" / "docs" / "made"
_PICTURE = re.compile(r"<!-- picture: (\S+) \| (.*?) -->")
_log = logging.getLogger("mkdocs.hooks.docsite")


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """The navigation, which depends on what there is."""
    config.nav = nav(dict.fromkeys((*_generated(), *_taken()), ""))
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Pages that are generated, pages that lie elsewhere in the repository, pictures, and files that pages link to."""
    from mkdocs.structure.files import File

    linked: set[str] = set()
    for place, text in _generated().items():
        files.append(File.generated(config, place, content=text))
    for place, source in _taken().items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
        linked |= relinked((ROOT / source).read_text(encoding="utf-8"), source, place)[1]
    for path in DOCS.rglob("*.md"):
        place = path.relative_to(DOCS).as_posix()
        linked |= relinked(path.read_text(encoding="utf-8"), f"docs/{place}", place)[1]
    for name in sorted(linked):
        files.append(File.generated(config, f"files/{name}", abs_src_path=str(ROOT / name)))
    for path in sorted((MADE / "pictures").rglob("*.png")):
        place = path.relative_to(MADE).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Links as the site has them, lists and tables as Python-Markdown wants them, pictures where they belong."""
    place = page.file.src_uri
    if place.startswith("results/"):
        page.meta["hide"] = ["toc"]  # tables take the width
    if place not in _generated():
        markdown, _ = relinked(markdown, _taken().get(place, f"docs/{place}"), place)
    return _PICTURE.sub(functools.partial(_picture, place), separated(markdown))


def _picture(place: str, found: re.Match[str]) -> str:
    name, about = found.groups()
    if not (MADE / "pictures" / f"{name}.png").is_file():
        _log.warning("%s: there is no picture %s", place, name)
    address = relpath(f"pictures/{name}.png", PurePosixPath(place).parent)
    return f"![{about}]({address}){{ loading=lazy }}"


@functools.cache
def _generated() -> dict[str, str]:
    """Place -> Markdown."""
    parts = (commands.pages(), datasets.pages(MADE / "raw"), protocols.pages(), methods.pages(), modules.pages())
    return {place: text for part in (*parts, _schemas(), _results()) for place, text in part}


@functools.cache
def _taken() -> dict[str, str]:
    """Place -> file of the repository."""
    own = {place: name for name, place in SITE.items() if place != "index.md" and (ROOT / name).is_file()}
    tables = sorted((ROOT / "leaderboards" / "pages").glob("*.md"))
    return own | {f"results/{path.name}": path.relative_to(ROOT).as_posix() for path in tables}


def _schemas() -> Iterator[tuple[str, str]]:
    names = sorted(path.name for path in (DOCS / "schemas").glob("*.json"))
    rows = [(f"[{name}]({name})", name.partition(".")[0]) for name in names]
    text = "JSON Schemas of every file that others may read or write; written by `make schemas` from the types."
    yield "schemas/index.md", "\n\n".join(("# Schemas", text, table(("file", "of"), rows))) + "\n"


def _results() -> Iterator[tuple[str, str]]:
    pages: list[Path] = sorted((ROOT / "leaderboards" / "pages").glob("*.md"))
    rows = [(f"[{path.stem}]({path.name})", _about(path.stem)) for path in pages]
    text = "Tables of the committed records, made by `make table`. With plots, cases and runs: `make site`."
    yield "results/index.md", "\n\n".join(("# Results", text, table(("page", ""), rows))) + "\n"


def _about(name: str) -> str:
    if name == "gate":
        return "what the regression gate lets pass"
    return escaped("made-up patients" if name.startswith("phantom-") else "real patients")
