"""Links between the pages as they stand in the repository: to a file that is there, and to a heading of it."""

import re
import unicodedata
from pathlib import Path

import pytest

from docsite.markdown import ROOT, outside_fences

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
_LINK = re.compile(r"\]\((?!\w+:)([^()\s]+)\)")
_CODE = re.compile(r"`[^`]*`")


def prose(path):
    return [line for line, outside in outside_fences(path.read_text(encoding="utf-8")) if outside]


def anchors(path):
    """Of its headings, as GitHub and the site make them."""
    found, counts = set(), {}
    for line in prose(path):
        if heading := re.match(r"#+ +(.*)", line):
            words = unicodedata.normalize("NFC", re.sub(r"[`*]|\\", "", heading[1]).strip().lower())
            name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            count = counts[name] = counts.get(name, -1) + 1
            found.add(f"{name}-{count}" if count else name)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading(path):
    for line in prose(path):
        for link in _LINK.findall(_CODE.sub("", line)):
            place, _, anchor = link.partition("#")
            target = Path(path.parent, place) if place else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link
