"""What a row says of its recipe."""

from leaderboards.variants import variants

QUICK = {"preset": "quick", "steps": 1000, "grid": "1.8", "foreground": 0.5, "threads": 1, "arch": "unet"}
CPU = {"preset": "cpu", "steps": 1500, "grid": "resize", "foreground": 0.33, "threads": 0, "arch": "unet"}


def test_a_preset_stands_for_all_that_it_decides():
    assert variants({"a": QUICK, "b": CPU}) == {"a": "preset=quick", "b": "preset=cpu"}


def test_a_network_stands_for_its_own_settings():
    fcn = QUICK | {"train.net.arch": "fcn", "train.net.options.slim": True}
    dpt = QUICK | {"train.net.arch": "DPT", "train.net.encoder": "vit", "train.batch": 2, "train.patch": "[8, 8]"}
    assert variants({"a": QUICK | {"train.net.arch": "unet"}, "b": fcn, "c": dpt}) == {
        "a": "train.net.arch=unet",
        "b": "train.net.arch=fcn",
        "c": "train.net.arch=DPT",
    }


def test_what_a_preset_does_not_decide_is_named_beside_it():
    found = variants({"a": QUICK, "b": CPU, "c": CPU | {"arch": "Unet"}})
    assert found == {
        "a": "arch=unet, preset=quick",
        "b": "arch=unet, preset=cpu",
        "c": "arch=Unet, preset=cpu",
    }


def test_few_settings_are_all_named_though_the_preset_decides_them():
    few = {"preset": "quick", "steps": 1000}, {"preset": "cpu", "steps": 1500}
    found = variants(dict(zip("ab", few, strict=True)))
    assert found == {"a": "preset=quick, steps=1000", "b": "preset=cpu, steps=1500"}


def test_up_to_four_settings_are_named_and_what_those_before_decide_is_not():
    """Networks of one short schedule on one core, beside a whole schedule in two precisions."""
    whole = {"preset": "cpu", "train.net.arch": "unet", "train.precision": "bf16", "train.steps": 1500}
    short = whole | {"train.steps": 500, "train.threads": 1}
    fcn = short | {"train.net.arch": "fcn"}
    quick = whole | {"preset": "quick", "train.steps": 10000, "train.grid": "resize"}
    recipes = [whole, whole | {"train.precision": "fp32"}, short, fcn, quick]
    assert list(variants(dict(zip("abcde", recipes, strict=True))).values()) == [
        "preset=cpu, arch=unet, precision=bf16, steps=1500",
        "preset=cpu, arch=unet, precision=fp32, steps=1500",
        "preset=cpu, arch=unet, precision=bf16, steps=500",
        "preset=cpu, arch=fcn, precision=bf16, steps=500",
        "preset=quick, arch=unet, precision=bf16, steps=10000",
    ]


def test_many_settings_that_no_preset_decides_are_told_by_their_digest():
    changed = {"steps": 2, "grid": "1.0", "foreground": 0.1, "threads": 4, "batch": 3}
    for always in ((), ("preset",)):
        assert variants({"0123456789": CPU, "abcdefghij": CPU | changed}, always) == {
            "0123456789": "recipe 01234567",
            "abcdefghij": "recipe abcdefgh",
        }


def test_settings_of_one_table_that_change_together_are_one_and_long_keys_are_cut_to_their_ends():
    off = {"train.augment.flip": False, "train.augment.rotate": 0.0, "train.augment.scale": 0.0}
    on = {"train.augment.flip": True, "train.augment.rotate": 10.0, "train.augment.scale": 0.15}
    less, more = {"train.net.options.dropout": 0.0}, {"train.net.options.dropout": 0.2}
    found = variants({"a": off | less, "b": off | more, "c": on | less, "d": on | more})
    assert found == {
        "a": "flip=False…, dropout=0.0",
        "b": "flip=False…, dropout=0.2",
        "c": "flip=True…, dropout=0.0",
        "d": "flip=True…, dropout=0.2",
    }


def test_settings_of_one_table_that_change_apart_are_no_bundle():
    rows = {name * 8: format(1 << number >> 1, "05b") for number, name in enumerate("abcdef")}
    recipes = {name: {f"train.augment.{key}": row[i] for i, key in enumerate("vwxyz")} for name, row in rows.items()}
    assert variants(recipes) == {name: f"recipe {name}" for name in rows}


def test_settings_of_several_tables_are_no_bundle():
    assert variants({"aaaaaaaa": {"a.b.c": 1, "a.d.e": 1, "f.g": 1, "f.h": 1, "f.i": 1}, "bbbbbbbb": {}}) == {
        "aaaaaaaa": "recipe aaaaaaaa",
        "bbbbbbbb": "recipe bbbbbbbb",
    }
