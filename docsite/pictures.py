"""Pictures of made-up patients, by `bench phantom`, `convert`, `view`, `run` and `show`: made with the site, not kept.

raw/<source>   data/   views/   runs/          what they show
pictures/datasets/<dataset>.png                a case and its labels
pictures/protocols/<protocol>.png              what a protocol shows of a case
pictures/run/{worst,median,best}.png           predictions of a short training
"""

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from bench import catalogue
from bench.montage import TEXT
from bench.protocols import PROTOCOLS
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import write_bytes
from docsite.datasets import OPEN
from leaderboards.facts import code_sha256

_CASES = {"acdc": 10}
_FEW = 3
_MOST = 5  # rows of a picture; diffusion images have sixteen
_HEARTS = "phantom-acdc"
_DONE = "code.txt"


def make(folder: Path) -> None:
    """Make them all, unless the same code has.

    Raises:
        BenchError: a command failed; with what it said.
    """
    code = code_sha256()
    if (folder / _DONE).is_file() and (folder / _DONE).read_text(encoding="utf-8") == code:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in catalogue.phantoms():
        _bench(folder, "phantom", source, f"raw/{source}", "--cases", str(_CASES.get(source, _FEW)))
        _bench(folder, "convert", source, f"raw/{source}", f"converted/{source}")
    for found in sorted((folder / "converted").glob("*/*/dataset.json")):
        source, name = found.parts[-3:-1]
        # What an open source finds has a name of its own; the page is that of the source.
        _show(folder, found.parent, f"datasets/{source if source in OPEN else name.removeprefix('phantom-')}")
    hearts = folder / "converted" / "acdc"
    for protocol in PROTOCOLS:
        view = folder / "views" / protocol.name
        _bench(folder, "view", str(hearts / _HEARTS), "--protocol", protocol.name, "--out", str(view))
        _show(folder, view, f"protocols/{protocol.name}")
    _bench(folder, "run", "--dataset", _HEARTS, "--protocol", "semi10", "--data", str(hearts))
    (run,) = (path.parent for path in (folder / "runs").rglob("record.json"))
    _bench(folder, "show", str(run), "--extremes", "--slices", "3", "--out", "pictures/run", "--data", str(hearts))
    write_bytes(folder / _DONE, code.encode())


def _show(folder: Path, dataset: Path, name: str) -> None:
    """The first case with a label map, as `bench show` has it; the first of all where there is none."""
    cases = Dataset.load(dataset).cases
    chosen = next((case for case in cases if case.label is not None), cases[0])
    sheets = folder / "sheets"
    shutil.rmtree(sheets, ignore_errors=True)
    _bench(folder, "show", str(dataset), "--cases", str(len(cases)), "--slices", "3", "--out", str(sheets))
    target = folder / "pictures" / f"{name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(sheets / f"{chosen.id}.png") as sheet:
        height = (sheet.height - TEXT) // max(1, _rows(chosen))
        sheet.crop((0, 0, sheet.width, min(sheet.height, TEXT + _MOST * height))).save(target)
    shutil.rmtree(sheets)


def _rows(case: Case) -> int:
    """Of its picture: one for each channel and each label map."""
    return len(case.images) + len(case.annotations) + (case.label is not None)


def _bench(folder: Path, *words: str) -> None:
    line = [sys.executable, "-m", "bench.cli", *words]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"bench {' '.join(words)}: exit {done.returncode}\n{done.stderr.strip()}", where=folder)
