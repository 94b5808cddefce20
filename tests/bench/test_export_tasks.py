"""Exported models of tasks that are no label maps: what config.json, the command and the card say of them."""

import json

import msgspec
import pytest
import views

from baselines.config import AugmentConfig, NetConfig, TrainConfig
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from leaderboards import tasks
from leaderboards.table import rows

FLAT = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)), steps=3, batch=4, patch=(16, 16), deterministic=True, threads=1
)
NATIVE = msgspec.structs.replace(
    FLAT, grid="native", augment=AugmentConfig(rotate_degrees=0.0, scale=0.0, shift=0.0, gamma=0, contrast=0, noise=0)
)
PIPELINES = {"sex": "image-classification", "age": None, "superres": "image-to-image"}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return views.people(tmp_path_factory.mktemp("people") / "data" / "tiny", shape=(24, 24, 3))


@pytest.mark.parametrize("task", PIPELINES)
def test_an_exported_model_says_what_it_predicts_and_beside_what_it_was_scored(task, people, bench, tmp_path):
    train = NATIVE if task == "superres" else FLAT
    planned = plan(Recipe(dataset="tiny", protocol="full", task=task, train=train), people, tmp_path / "runs")
    record = run(planned, Place())
    out = tmp_path / "out"
    done = bench("export-model", planned.folder / "model", out, "--to", "huggingface", "--device", "cpu")
    assert done.code == 0 and "numbers are others on made-up windows" in done.err, done.err
    config, text = json.loads((out / "config.json").read_text()), (out / "README.md").read_text()
    names = {"0": "F", "1": "M"} if task == "sex" else None
    assert (config.get("id2label"), config.get("num_labels")) == (names, 2 if names else None)
    assert (f'pipeline_tag: "{PIPELINES[task]}"' in text) == (PIPELINES[task] is not None)
    for word in ("structure", "voxels in", "background", "distances in mm"):
        assert word not in text
    (row,) = rows([record])[0]
    columns = [one for one in tasks.shown(row.macro) if not one.interval]
    assert len(columns) > 1
    told = [f"{row.macro[one.definition].mean:.4f}" for one in columns]
    assert f"| | {' | '.join(one.heading for one in columns)} |" in text.replace("|  |", "| |")
    assert f"| mean | {' | '.join(told)} |" in text
