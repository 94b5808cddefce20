"""Pages written for GitHub, as Python-Markdown and the site want them; and small things that generated pages share."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os.path import relpath
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
SITE: Mapping[str, str] = {  # files beside docs/ that are pages of the site
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
}
_FENCE = re.compile(r" *(```+|~~~+)")
_ITEM = re.compile(r" {0,3}(?:[-*+]|1[.)]) ")
_RULE = re.compile(r"\|[ :|-]+$")
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\]\((?!\w+:|#|/)([^()\s]+)\)")


def outside_fences(text: str) -> Iterator[tuple[str, bool]]:
    """Every line, and whether it is prose: neither in a fenced block nor a fence itself."""
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        closes = bool(found and fence and found[1].startswith(fence) and not line.strip().strip("`~"))
        yield line, not (fence or found)
        if found and not fence:
            fence = found[1]
        elif closes:
            fence = ""


def separated(text: str) -> str:
    """With a blank line before each list and table that follows a paragraph at once, and bare pipes in code.

    GitHub needs no such line, and wants a pipe in a table escaped, in code too; Python-Markdown has it the other way.
    """
    lines = [*outside_fences(text)]
    made: list[str] = []
    for (line, prose), (following, _) in zip(lines, [*lines[1:], ("", True)], strict=True):
        if prose and _begins(made[-1] if made else "", line, following):
            made.append("")
        made.append(_CODE.sub(lambda code: code[0].replace("\\|", "|"), line) if prose and line[:1] == "|" else line)
    return "\n".join(made)


def _begins(before: str, line: str, following: str) -> bool:
    if not before.strip():
        return False
    if _ITEM.match(line):
        return not _ITEM.match(before) and not before.startswith(" ")
    return line.startswith("|") and not before.startswith("|") and _RULE.match(following) is not None


def relinked(text: str, source: str, page: str) -> tuple[str, set[str]]:
    """The text of the repository's file `source` as the page `page` of the site: links lead where the site has it.

    Also gives the files of the repository, other than pages, that it links to: the site must hold them, below `files/`.
    """
    files: set[str] = set()
    folder = (ROOT / source).parent

    def there(found: re.Match[str]) -> str:
        target, mark, anchor = found[1].partition("#")
        place = PurePosixPath(relpath(folder / target, ROOT))
        uri, taken = _uri(str(place))
        if taken:
            files.add(str(place))
        return f"]({relpath(uri, PurePosixPath(page).parent)}{mark}{anchor})"

    lines = (_LINK.sub(there, line) if prose else line for line, prose in outside_fences(text))
    return "\n".join(lines), files


def _uri(place: str) -> tuple[str, bool]:
    """Where the site has a file of the repository, and whether it has to be taken there."""
    if place in SITE:
        return SITE[place], False
    if place.startswith("docs/"):
        folder = (ROOT / place).is_dir()
        return place.removeprefix("docs/") + "/index.md" * folder, False
    if place.startswith("leaderboards/pages/") and place.endswith(".md"):
        return f"results/{PurePosixPath(place).name}", False
    return f"files/{place}", True


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |" for cells in lines)


def described(docstring: str) -> str:
    """A docstring as Markdown: what is indented stays a block, the rest reads as it stands."""
    from bench.zoo import escaped

    parts = docstring.strip("\n").split("\n\n")
    return "\n\n".join(part if part.startswith("    ") else escaped(part) for part in parts)


def sh(*lines: str) -> str:
    """A fenced block of commands."""
    return "\n".join(("```sh", *lines, "```"))
