"""Gains: what a method adds to the supervised row of its labels and settings, and which row that is."""

import msgspec
import numpy as np
import pytest
import scipy.stats

from leaderboards.columns import tables
from leaderboards.table import rows

DICE = "dice:v1"


def by_name(records):
    found, problems = rows(records)
    assert problems == []
    return {(row.method, row.variant): row for row in found}


def changed(records, **train):
    """The same records with other settings of training."""
    return [
        msgspec.structs.replace(record, recipe=record.recipe | {"train": record.recipe["train"] | train})
        for record in records
    ]


def test_a_gain_is_the_difference_to_supervised_with_the_interval_of_the_paired_patients(runs):
    low, high = runs("supervised", 0.8, seeds=1), runs("cps", 0.9, seeds=1)
    made = by_name([*low, *high])
    gain = made["cps", ""].gains[DICE]
    bound, method = ([score.metrics[DICE] for score in record.cases] for record in (*low, *high))
    paired = scipy.stats.ttest_rel(method, bound)
    assert gain.mean == pytest.approx(np.mean(method) - np.mean(bound))
    assert (gain.low, gain.high) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    assert gain.df == paired.df and not gain.seeds
    assert made["supervised", ""].gains == {}


def test_with_several_seeds_on_both_sides_the_interval_holds_them(runs):
    made = by_name([*runs("supervised", 0.8, seeds=3), *runs("cps", 0.9, seeds=3), *runs("bcp", 0.9, seeds=1)])
    assert made["cps", ""].gains[DICE].seeds and not made["bcp", ""].gains[DICE].seeds


def test_the_bound_has_the_settings_of_the_method_and_no_options_of_its_own(runs):
    made = by_name(
        [
            *changed(runs("supervised", 0.8), steps=100),
            *changed(runs("supervised", 0.5), steps=200),
            *changed(runs("supervised", 0.1), steps=100, options={"dice": 0.0}),
            *changed(runs("cps", 0.9), steps=100, options={"weight": 1.0}),
            *changed(runs("bcp", 0.9), steps=300),
        ]
    )
    gains = {method: row.gains for (method, _), row in made.items() if method != "supervised"}
    assert gains["cps"][DICE].mean == pytest.approx(0.1, abs=0.02)
    assert gains["bcp"] == {}


def test_a_table_shows_the_gain_in_dice_with_its_sign_and_the_mark_of_one_seed(runs):
    found, _ = rows([*runs("supervised", 0.9, seeds=1), *runs("cps", 0.8, seeds=1)])
    (table,) = tables(found)
    column = table.columns.index("Dice over supervised")
    told = {row[0].text: row[column].text for row in table.rows}
    assert told["supervised"] == "" and told["cps"].startswith("-0.1") and told["cps"].endswith("]†")


def test_a_table_without_a_bound_has_no_such_column(runs):
    found, _ = rows([*runs("cps", 0.9), *runs("bcp", 0.8)])
    assert "Dice over supervised" not in tables(found)[0].columns
