"""What the tests of tracking share: a tiny run, and what its own files say of it."""

import json
from pathlib import Path

from baselines.config import NetConfig, TrainConfig
from bench.plan import Plan, plan
from bench.recipe import Recipe
from converters.dataset import Dataset

STEPS = 35
TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.1, 0.1)),
    steps=STEPS,
    batch=2,
    patch=(16, 16),
    precision="fp32",
    deterministic=True,
    threads=1,
    checkpoint_every=8,
)


def tiny_plan(dataset: Dataset, runs: Path) -> Plan:
    """A run of a few seconds."""
    return plan(Recipe(dataset="tiny", train=TRAIN), dataset, runs)


def losses(folder: Path) -> dict[tuple[str, int], float]:
    """(series, step) -> value, as the log of a run says."""
    lines = [json.loads(line) for line in (folder / "model" / "log.jsonl").read_bytes().splitlines()]
    return {(f"train/{name}", line["step"]): line[name] for line in lines for name in line if name != "step"}
