"""docs/coverage.md says what the committed records say, and `not run` where they say nothing."""

from fnmatch import fnmatchcase

import msgspec
import pytest

from bench.networks import SWEEP, rows
from docsite.coverage import PAGE, System, fits, page, parts, row, runnable
from docsite.markdown import ROOT
from leaderboards.collect import load

NET = {"recipe.train.net.arch": "unet"}


@pytest.fixture(scope="module")
def records():
    return load([ROOT / "leaderboards" / "results"]).records


def system(**fields):
    return System(name="a net", command="bench run --dataset acdc", **fields)


def test_the_page_is_the_one_that_list_and_records_give(records):
    if not PAGE.is_file():
        pytest.skip("docs/coverage.md is not there yet: make coverage")
    assert PAGE.read_text(encoding="utf-8") == page(records), "make coverage"


def on_unet(records):
    full = [record for record in records if record.dataset == "acdc" and record.protocol == "full"]
    return [record for record in full if record.recipe["train"]["net"]["arch"] == "unet"]


def test_every_system_of_the_issue_has_a_row(records):
    text = page(records)
    assert len(parts()) == 7
    assert all(f"| {one.name} |" in text or f"[{one.name}](" in text for part in parts() for one in part.system)


def test_a_field_must_fit_its_pattern_and_be_there(records):
    record = on_unet(records)[0]
    assert fits(record, NET | {"dataset": "acd?"})
    assert not fits(record, NET | {"dataset": "phantom-*"})
    assert not fits(record, {"recipe.train.net.nothing": "unet"})
    assert not fits(record, {"recipe.train.net.arch.deeper": "unet"})


def test_records_are_told_by_dataset_and_real_ones_by_name(records):
    made = row(system(record=NET), records)
    assert made.made_of == "real, phantom"
    assert "[acdc](../leaderboards/pages/acdc.md): " in made.evidence
    real = [record for record in records if record.dataset == "acdc"]
    assert row(system(record=NET), real).made_of == "real"


def test_the_metric_of_a_row_is_the_mean_of_each_record(records):
    (one, *_) = on_unet(records)
    told = row(system(record=NET), [one]).evidence
    values = [score.metrics["dice:v1"] for score in one.cases]
    assert told.endswith(f": 1 record, dice {sum(values) / len(values):.3g}")


def test_what_nothing_shows_is_not_run(records):
    failed = [msgspec.structs.replace(record, status="failed") for record in records]
    assert row(system(record=NET), failed)[2:] == ("-", "not run")
    assert row(system(record={"task": "no such task"}), records)[2:] == ("-", "not run")
    assert row(system(files=("README.md", "no/such/file.py")), records).evidence == "not run"
    assert row(system(files=("README.md",)), records).evidence == "`README.md`"


def test_networks_of_smp_have_the_encoder_that_their_sweep_gives_them():
    swept = {one.recipe.train.net.arch: one.recipe.train.net.encoder for one in rows(ROOT / SWEEP)}
    listed = [one for part in parts() for one in part.system if one.name.endswith(", smp")]
    assert len(listed) == 6
    for one in listed:
        encoder = swept[one.record["recipe.train.net.arch"]]
        assert f"--set train.net.encoder={encoder}" in one.command
        assert fnmatchcase(encoder, one.record["recipe.train.net.encoder"])


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("bench run --dataset acdc", True),
        ("bench run --no-such-option", False),
        ("bench no-such-verb", False),
        ("make docs", True),
        ("make no-such-target", False),
        ("python -c 'import baselines.sampler'", True),
    ],
)
def test_a_command_that_there_is_not_is_called_so(command, known, records):
    assert runnable(command) == known
    told = row(System(name="x", command=command), records).command
    assert told.endswith("no such command yet") != known
