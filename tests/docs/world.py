"""The folder that blocks of the pages are run in, and running them: `from world import build, carry_out`."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from docsite.blocks import Block, Fate
from docsite.markdown import ROOT

# A training of two steps, of a network that is as good as none: blocks are to run, not to score.
QUICK = (
    "train.steps=2 train.patch=[32,32] train.batch=4 train.threads=1 train.net.widths=[4,8] train.net.dropout=[0.0,0.0]"
)
VERBS = ("RUN", "TRAIN", "PROFILE", "IO", "SWEEP")


def surroundings(folder: Path) -> dict[str, str]:
    """Variables that a block is run with: this Python's `bench` first, short runs, packs of this folder."""
    own = {f"BENCH_{verb}_SETTINGS": QUICK for verb in VERBS}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **own, "PATH": path, "BENCH_CACHE": str(folder / "packs"), "OMP_NUM_THREADS": "1"}


def build(folder: Path) -> Path:
    """Made-up patients, raw and converted; two runs and a view of them; predictions of "theirs"; committed records."""
    folder.mkdir()
    for name in ("leaderboards/results", "leaderboards/planned", "leaderboards/pages", "sweeps"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder)
    script = """
        bench phantom acdc raw/acdc --cases 10
        bench phantom chaos raw/chaos --cases 5
        bench phantom ixi raw/ixi --cases 2
        bench phantom folder raw/folder --cases 4
        bench convert acdc raw/acdc data
        bench convert chaos raw/chaos data
        bench view data/phantom-acdc --protocol scribble
        bench run --dataset phantom-acdc --protocol semi10
        ln -s runs/phantom-acdc/semi10/supervised/* run
        ln -s run/model model
        mkdir theirs && cp run/predictions/*.nii.gz theirs/
        set -- theirs/*.nii.gz && cp "$1" prediction.nii.gz
        cp "data/phantom-acdc/labelsTr/$(basename "$1")" reference.nii.gz
    """
    shell(script, folder)
    return folder


def carry_out(block: Block, fate: Fate, folder: Path, stand_in: Mapping[str, str]) -> None:
    """Run a block, or write it where its first line says that it belongs."""
    text = without(block.text, fate.leaving)
    text = replaced(text, {**(stand_in if fate.world else {}), **fate.stand_in})
    if block.place:
        (folder / block.place).write_text(text, encoding="utf-8")
    elif block.language == "python":
        done([sys.executable, "-c", text], folder, f"{block.page}:{block.line}")
    else:
        assert block.language in ("", "sh", "bash"), f"{block.page}:{block.line}: {block.language} cannot be run"
        shell(text, folder, f"{block.page}:{block.line}")


def shell(text: str, folder: Path, told: str = "the world") -> None:
    """Run lines as a careful shell does: the first that fails ends it."""
    done(["bash", "-euo", "pipefail", "-c", text], folder, told)


def done(line: list[str], folder: Path, told: str) -> None:
    """Run a command, and say what it said where it fails."""
    ended = subprocess.run(
        line,
        cwd=folder,
        env=surroundings(folder),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, f"{told}: exit {ended.returncode}\n{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"


def without(text: str, leaving: Iterable[str]) -> str:
    """The block without the lines that begin so; each beginning is of some line."""
    lines = text.splitlines(keepends=True)
    idle = [start for start in leaving if not any(line.startswith(start) for line in lines)]
    assert idle == [], f"no line begins so: {idle}"
    return "".join(line for line in lines if not line.startswith(tuple(leaving)))


def replaced(text: str, stand_in: Mapping[str, str]) -> str:
    """The block with names of the world; the longest first, each place once."""
    names = sorted(stand_in, key=len, reverse=True)
    return text if not names else re.sub("|".join(map(re.escape, names)), lambda found: stand_in[found[0]], text)
