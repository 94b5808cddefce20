"""Every link of a built site that leads into itself leads somewhere, and no page loads anything from elsewhere."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"script", "img", "iframe", "source", "video", "audio", "link"}
_NEVER_OPENED = {"404.html"}  # served for any address, so its links are from the root


class _Page(HTMLParser):
    """What a page offers to link to, and what it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []  # tag, address
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every id and every href, src and srcset."""
        given = {key: value or "" for key, value in attrs}
        self.anchors |= {given[key] for key in ("id", "name") if key in given}
        for key in ("href", "src"):
            if given.get(key, "") and given.get("rel") != "canonical":
                self.links.append((tag, given[key]))


def problems(site: Path) -> list[str]:
    """A sentence for each link that leads nowhere, and for each thing loaded from another place."""
    files = sorted(path for path in site.rglob("*.html") if path.name not in _NEVER_OPENED)
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in files}
    found = ["there is no page"] if not pages else []
    for path, page in pages.items():
        shown = path.relative_to(site).as_posix()
        found += [
            f"{shown}: {why}" for tag, link in dict.fromkeys(page.links) if (why := _wrong(path, tag, link, pages))
        ]
    return found


def _wrong(path: Path, tag: str, link: str, pages: dict[Path, _Page]) -> str:
    address = urlsplit(link)
    if address.scheme in ("http", "https") or address.netloc:
        return f"loads {link}" if tag in _LOADED else ""
    if address.scheme:
        return "" if address.scheme in ("mailto", "data", "javascript") else f"link of an unknown kind: {link}"
    target = (path.parent / unquote(address.path)).resolve() if address.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return f"no file at {link}"
    anchor = unquote(address.fragment)
    there = pages[target].anchors if target in pages else set()
    return f"no anchor {link}" if anchor and target.suffix == ".html" and anchor not in there else ""
