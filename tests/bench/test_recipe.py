"""Recipes: one value from layers, and an error that names the key."""

import json
from pathlib import Path

import msgspec
import pytest

from baselines.config import plain
from bench import recipe
from bench.learning import Learning
from bench.recipe import Choice, Recipe, merge, resolve
from converters.errors import BenchError, UsageError
from converters.files import digest
from leaderboards.record import Record


def choose(dataset="acdc", preset="cpu", **more):
    return resolve(Choice(dataset=dataset, preset=preset, **more), bf16=False)


def test_acdc_comes_with_the_split_and_the_seven_patients_everyone_uses():
    made = choose()
    assert (made.dataset, made.split, made.draw) == ("acdc", "ssl4mis", "ssl4mis")


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ("chaos", "chaos-mr-t1"),
        ("chaos-mr-t1", "chaos-mr-t1"),
        ("chaos-ct", "chaos-ct"),
        ("phantom-chaos", "phantom-chaos-mr-t1"),
        ("phantom-chaos-mr-t2", "phantom-chaos-mr-t2"),
        ("something-else", "something-else"),
    ],
)
def test_a_dataset_may_be_typed_by_its_recipe_or_its_folder(typed, folder):
    assert recipe.dataset_name(typed) == folder
    assert choose(typed).dataset == folder


def test_a_phantom_never_takes_the_patients_of_a_published_list():
    made = choose("phantom-acdc", "demo")
    assert (made.split, made.draw) == ("default", 0)


def test_every_recipe_resolves_under_every_preset_it_offers():
    for name in recipe.names():
        for preset in recipe.presets(name):
            assert choose(name, preset).preset == preset


def test_a_preset_lies_over_the_one_that_it_is_like_in_every_recipe_at_work():
    quick, published, cpu = (choose(preset=name).train for name in ("quick", "published", "cpu"))
    assert quick.augment == published.augment != cpu.augment  # of ACDC's recipe
    assert quick.checkpoint_every == published.checkpoint_every != cpu.checkpoint_every  # of the general one
    assert (quick.patch, quick.steps) == ((64, 64), 10_000) != (published.patch, published.steps)


def test_flags_stand_over_the_file_and_set_over_both(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('protocol = "semi20"\nseed = 4\n[train]\nsteps = 7\nlr = 0.5\n')
    made = choose(config=file, flags={"seed": 5, "draw": None}, settings=("train.steps=9", "train.method=gce"))
    assert (made.protocol, made.seed, made.train.steps, made.train.lr) == ("semi20", 5, 9, 0.5)
    assert made.train.method == "gce"
    assert made.draw == "ssl4mis"


def test_none_takes_a_value_away(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[train.net]\nencoder_weights = "imagenet"\n')
    assert choose(config=file).train.net.encoder_weights == "imagenet"
    assert choose(config=file, settings=("train.net.encoder_weights=none",)).train.net.encoder_weights is None


def test_tables_are_merged_key_by_key_and_lists_replaced():
    assert merge({"a": {"b": 1, "c": [1, 2]}, "d": 3}, {"a": {"c": [9]}, "e": 4}) == {
        "a": {"b": 1, "c": [9]},
        "d": 3,
        "e": 4,
    }


def test_precision_is_chosen_by_the_machine_and_recorded():
    assert choose().train.precision == "fp32"
    assert resolve(Choice(dataset="acdc", preset="cpu"), bf16=True).train.precision == "bf16"
    fixed = Choice(dataset="acdc", preset="cpu", settings=("train.precision=fp32",))
    assert resolve(fixed, bf16=True).train.precision == "fp32"


@pytest.mark.fault(62)
def test_an_unknown_key_is_named_with_file_and_line(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("# a comment\n[train]\nstepz = 7\n")
    with pytest.raises(BenchError, match="stepz") as caught:
        choose(config=file)
    assert caught.value.where == f"{file}, line 3"


@pytest.mark.fault(62)
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.steps=-3", "train.steps = -3"),
        ("train.steps=many", "train.steps"),
        ("train.patch=[4,4]", "train.patch"),
        ("train.grid=[1.0]", "train.grid"),
        ("train.net.widths=[4,8]", "one entry per level"),
        ("train.window=[5.0,1.0]", "must rise"),
        ("sead=1", "sead"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(setting, said):
    with pytest.raises(BenchError, match=said.replace(".", r"\.")):
        choose(settings=(setting,))


@pytest.mark.parametrize("setting", ["steps", "=3", "a b=3", "train..steps=3"])
def test_a_setting_that_is_none_is_a_usage_error(setting):
    with pytest.raises(UsageError, match="--set"):
        choose(settings=(setting,))


def test_a_setting_that_came_after_records_is_named_only_where_it_is_changed():
    kept = plain(choose())
    assert "predict" not in kept and not {"accumulate", "compile", "foreground_by"} & set(kept["train"])
    moved = plain(choose(settings=("train.accumulate=2", "predict.mirror=true", "train.batch=12")))
    assert moved["train"]["accumulate"] == 2
    assert moved["predict"] == {"mirror": True, "overlap": 0.5, "precision": "trained"}
    assert digest(kept) != digest(moved)
    assert plain(msgspec.convert(kept, Recipe)) == kept


def test_the_recipes_of_committed_records_are_those_of_today():
    # Whoever adds a setting and does not list it as later, or changes a default, takes every record its row.
    results = Path(__file__).parents[2] / "leaderboards" / "results"
    paths = [*results.glob("phantom-acdc/*-supervised-????????????.json")]
    assert len(paths) >= 10
    for path in paths:
        record = Record.load(path)
        assert plain(msgspec.convert(record.recipe, Recipe)) == record.recipe
        assert digest(record.recipe) == record.digests["recipe"]
        assert record.id() == digest(json.loads(path.read_bytes()))


def test_a_short_memory_is_met_by_parts_when_asked():
    learning = Learning(preset="demo", device="cpu", auto_batch=True)
    assert learning.recipe("phantom-acdc", {}).train.accumulate == "auto"
    assert Learning(preset="demo", device="cpu").recipe("phantom-acdc", {}).train.accumulate == 1


def test_an_unknown_preset_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="Did you mean 'published'"):
        choose(preset="publishd")
