"""A page for each dataset that a source gives, and for each source that reads whatever a folder holds."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bench import catalogue, recipe
from bench.zoo import escaped
from converters import source
from converters.description import LabelInfo
from converters.source import Access, Info, Options
from docsite.markdown import ROOT, described, sh, table

FOLDER = "datasets"
OPEN = ("folder", "msd", "nnunet")  # what the raw folder holds is a dataset of any name
_RECIPES = ROOT / "bench" / "recipes"


def pages(raw: Path) -> Iterator[tuple[str, str]]:
    """(place on the site, Markdown). `raw`: made-up patients, a folder for each source (`docsite/pictures.py`)."""
    rows: list[tuple[str, ...]] = []
    for entry in catalogue.sources():
        infos = () if entry.name in OPEN else source.find(entry.name).INFO or _infos(entry.name, raw)
        if not infos:
            yield f"{FOLDER}/{entry.name}.md", _open_page(entry.name)
            rows.append((f"[{entry.name}]({entry.name}.md)", escaped(entry.about), "whatever is there", "as it says"))
            continue
        for info in infos:
            yield f"{FOLDER}/{info.name}.md", _page(entry.name, info)
            shown = ", ".join(_structures(info)) or "none: bring your own"
            rows.append((f"[{info.name}]({info.name}.md)", info.source.collection, _images(info), shown))
    head = ("dataset", "collection", "images", "structures")
    yield f"{FOLDER}/index.md", "\n\n".join(("# Datasets", _INTRODUCTION, table(head, rows))) + "\n"


_INTRODUCTION = """\
Pages made of what the source files of `converters/sources/` say. Pictures show made-up patients of the same layout,
from `bench phantom`; no image of a real person is in this site. What was converted
here for real stands in the README."""


def _infos(name: str, raw: Path) -> list[Info]:
    """Of a source that looks into the raw folder first; none where nobody has made up such a folder."""
    return [] if name not in catalogue.phantoms() else [info for info, _ in source.found(name, raw / name, Options())]


def _page(name: str, info: Info) -> str:
    parts = [f"# {info.name}", f"{info.source.collection}.", _facts(info), _picture(name, info.name)]
    if info.label_info:
        parts += ["## Structures", _labels(info)]
    parts += ["## From download to a run", _commands(name, info.name), *_access(name)]
    if info.splits:
        parts += ["## Published splits", table(("split", "whose", "train / val / test"), _splits(info))]
    parts += [*_recipe(info.name), "## The source", _docstring(name)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _open_page(name: str) -> str:
    convert = f"bench convert {name} RAW data"
    lines = [f"bench phantom {name} raw/{name}    # made-up, in this layout"] if name in catalogue.phantoms() else []
    more = "The keys of its TOML, with examples: [a folder of images](../folder.md)." if name == "folder" else ""
    parts = [f"# {name}", _docstring(name), more, _picture(name, name), sh(*lines, convert), *_access(name)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(info: Info) -> str:
    rows = [
        ("licence", info.licence),
        ("citation", escaped(info.citation)),
        ("images", _images(info)),
        ("dimensions", f"{info.ndim}D"),
        ("tolerances of NSD", ", ".join(f"{mm:g} mm" for mm in info.nsd_tolerances_mm)),
        *(("also annotated", f"`{one.id}`: {one.kind}, {one.origin}") for one in info.annotation_sets),
        *(("mind", escaped(warning)) for warning in info.warnings),
    ]
    return table(("", ""), rows)


def _images(info: Info) -> str:
    return ", ".join(
        f"{channel.name} ({' '.join(filter(None, (channel.modality, channel.sequence, channel.unit)))})"
        for channel in info.channels
    )


def _structures(info: Info) -> list[str]:
    return [name for name in info.labels if name != "background"]


def _labels(info: Info) -> str:
    rows = []
    for name in _structures(info):
        about, code = info.label_info.get(name, LabelInfo()), info.labels[name]
        codes = ", ".join(map(str, code)) if isinstance(code, tuple) else str(code)
        values = ", ".join(map(str, about.source_values))
        rows.append((name, codes, values, about.snomed or "-", _swatch(about.colour)))
    return table(("structure", "code", "value in the source", "SNOMED CT", "colour"), rows)


def _swatch(colour: str) -> str:
    return f'<span style="color: {colour}">■</span> `{colour}`' if colour else "-"


def _commands(name: str, dataset: str) -> str:
    lines = [f"bench download {name} raw/{name}", f"bench convert {name} raw/{name} data --only {dataset}"]
    lines += [f"bench check data/{dataset}", f"bench show data/{dataset} --out pictures"]
    made_up = [f"bench phantom {name} raw/made-up", f"bench convert {name} raw/made-up data"]
    real = "The real one:\n\n" + sh(*lines)
    return (
        f"Made-up patients in its layout, for a try:\n\n{sh(*made_up)}\n\n{real}"
        if name in catalogue.phantoms()
        else real
    )


def _access(name: str) -> list[str]:
    access: Access | None = getattr(source.find(name), "ACCESS", None)
    if access is None:
        return []
    steps = "\n".join(f"{n}. {_step(step)}" for n, step in enumerate(access.steps, 1))
    free = "`bench download` fetches it." if access.files else "Somebody must sign for it, so the steps are by hand."
    return ["## How to come by it", f"{free} Page: <{access.page}>", steps]


def _step(step: str) -> str:
    return f"`{step}`" if step.startswith("bench ") else escaped(step)


def _splits(info: Info) -> Iterator[tuple[str, ...]]:
    for split in info.splits:
        draws = f"; names the labelled ones: {', '.join(f'`{draw}`' for draw in split.draws)}" if split.draws else ""
        sides = " / ".join(str(len(side)) for side in (split.train, split.val, split.test))
        sides = "whoever is there" if split.whoever else sides
        yield f"`{split.name}`", escaped(split.source) + draws, sides


def _recipe(dataset: str) -> list[str]:
    found = [path for path in sorted(_RECIPES.glob("*.toml")) if recipe.dataset_name(path.stem) == dataset]
    told = [f"```toml\n# bench/recipes/{path.name}\n{path.read_text(encoding='utf-8').strip()}\n```" for path in found]
    return ["## Its recipe", *told] if told else []


def _docstring(name: str) -> str:
    path = ROOT / "converters" / "sources" / f"{name}.py"
    return described(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def _picture(source: str, name: str) -> str:
    if source not in catalogue.phantoms():
        return "There are no made-up patients in its layout yet, so there is no picture."
    return f"<!-- picture: datasets/{name} | {name}: a made-up case, and its labels -->"
