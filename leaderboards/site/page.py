"""A page of the site in the making: a template, what fills it, and the figures it shows."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from leaderboards import render
from leaderboards.columns import Table
from leaderboards.escape import visible
from leaderboards.site.figures import Drawing, save

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).resolve().parent
ASSETS = ("site.css", "site.js")
_LONGEST = 1000  # characters of any one text on a page
_NAME = 60  # of a name in a heading


class Shown(NamedTuple):
    """A figure on a page. Paths are relative to the page."""

    svg: str
    png: str
    alt: str
    caption: str


class Page:
    """A page at a path of the site, and the files that belong to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.files: dict[str, bytes] = {}
        self.root = "../" * path.count("/")

    def add(self, name: str, data: bytes) -> str:
        """A file in the folder that has the name of the page; its path relative to the page."""
        stem = self.path.removesuffix(".html")
        self.files[f"{stem}/{name}"] = data
        return f"{stem.rpartition('/')[2]}/{name}"

    def figure(self, name: str, drawing: Drawing | None, caption: str) -> list[Shown]:
        """A figure with its files; none where there is nothing to draw."""
        if drawing is None:
            return []
        made = save(drawing, caption)
        return [Shown(self.add(f"{name}.svg", made.svg), self.add(f"{name}.png", made.png), drawing.alt, caption)]

    def done(self, template: str, **context: object) -> dict[str, bytes]:
        """The files of the page, itself the first; every text from a record is escaped."""
        text = _environment().get_template(template).render(root=self.root, **context)
        return {self.path: text.encode(), **self.files}


def table(made: Table) -> "Markup":
    """A table as a fragment that scrolls in a frame of its own, its notes below."""
    from markupsafe import Markup

    # All text in it is escaped, so the tags are where the renderer put them and nowhere else.
    frame = '<div class="scroll" tabindex="0" role="group" aria-label="table, scrolls sideways"><table>'
    return Markup(render.html(made).replace("<table>", frame, 1).replace("</table>", "</table></div>", 1))


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    made.filters["name"] = lambda text: visible(str(text), _NAME)
    made.filters["table"] = table
    return made


def _plain(value: object) -> object:
    """Text that stays where it is put; what is markup already is left alone."""
    return visible(value, _LONGEST) if type(value) is str else value
