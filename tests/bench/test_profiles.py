"""The profiles as they are offered: the reference case, the document, names, and the tables of the command."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from profiled import ALL, REFERENCE_CASE, TOLERANCES, block

from bench import profile, splits
from bench.matching import Match
from bench.score import Structures, score_volumes
from bench.surface import pair
from converters.errors import UsageError
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import Record

CHAOS = tuple(name for name in REFERENCE_CASE if name.startswith("chaos."))


def test_the_reference_case(shared_data):
    g, p = (read_label(shared_data / "score_case" / f"{name}.nii.gz") for name in ("gt", "seg"))
    structures = Structures({"liver": int(g.array.max())}, TOLERANCES, ALL)
    (score,) = score_volumes(Match("a", "a", None, None, None), g, p, structures, [])
    found = {name: value for name, value in score.metrics.items() if "." in name}
    assert found == pytest.approx(REFERENCE_CASE, rel=1e-9)
    (plain,) = score_volumes(Match("a", "a", None, None, None), g, p, dataclasses.replace(structures, profiles=()), [])
    assert plain.metrics == {name: value for name, value in score.metrics.items() if name not in found}


def test_the_document_has_every_number():
    text = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for name, value in REFERENCE_CASE.items():
        documented = re.sub(r"@\d+mm", "@{tau}mm", name)
        assert [row for row in rows if row.startswith(f"| `{documented}` |") and f" {value}" in row], name


def test_every_number_names_its_profile_and_version():
    found = profile.evaluate(ALL, profile.cut(pair(*[block((4, 4, 4), (1, 3))] * 2, (1, 1, 1)), [1], "ok", TOLERANCES))
    assert profile.names() == list(ALL)
    assert set(found) == set(REFERENCE_CASE)
    assert all(isinstance(value, float) for value in found.values())


def test_names_are_typed_with_hyphens_too_and_a_wrong_one_is_told():
    assert profile.named(["surface-distance", "surface_distance", "chaos"]) == ("surface_distance", "chaos")
    with pytest.raises(UsageError, match=r"no profile 'caos'\. Did you mean 'chaos'"):
        profile.named(["caos"])


@pytest.fixture
def hearts(dataset_of, tmp_path):
    """A dataset with its default split, and perfect predictions of its four test cases."""
    dataset, folder = dataset_of(10), tmp_path / "predictions"
    splits.freeze_default(dataset)
    folder.mkdir()
    for case in dataset.only(dataset.split("default").test).cases:
        shutil.copy(dataset.root / case.label.file, folder / f"{case.id}.nii.gz")
    return dataset, folder


def test_the_command_shows_profiles_in_tables_of_their_own(bench, hearts):
    dataset, folder = hearts
    plain = bench("score", folder, dataset.root)
    both = bench("score", folder, dataset.root, "--profile", "surface-distance", "--profile", "chaos")
    assert both.code == 0 and both.out.startswith(plain.out)
    tables = [table.splitlines() for table in both.out.removeprefix(plain.out).strip().split("\n\n")]
    assert [table[0].split()[0] for table in tables] == ["surface_distance:", "chaos:"]
    assert tables[1][0].split() == ["chaos:", "label", "scores", *(name.split(".")[1][:-3] for name in CHAOS)]
    assert [row.split()[:2] for row in tables[1][2:]] == [["left", "4"], ["right", "4"], ["wall", "4"]]
    assert all(row.split()[-1] == "100.00" for row in tables[1][2:])


def test_the_numbers_travel_with_the_scores_and_the_record(bench, hearts, tmp_path):
    dataset, folder = hearts
    done = bench(
        "score", folder, dataset.root, "--profile", "chaos", "--json", "--method", "a", "--out", tmp_path / "r"
    )
    scores = [json.loads(line)["metrics"] for line in done.out.splitlines()]
    recorded = [score.metrics for score in Record.load(tmp_path / "r" / "record.json").cases]
    assert scores == recorded and len(scores) == 12
    assert all({name for name in metrics if "." in name.partition(":")[0]} >= set(CHAOS) for metrics in scores)


def test_a_mean_over_fewer_values_than_scores_says_so(bench, hearts):
    dataset, folder = hearts
    path = min(folder.iterdir())
    volume = read_label(path)
    path.unlink()
    write_nifti(path, Volume(np.zeros_like(volume.array), volume.affine))
    done = bench("score", folder, dataset.root, "--profile", "mrbrains18", "--cases")
    by_case, by_label = done.out.strip().split("\n\n")[-2:]
    assert by_case.splitlines()[0].split()[:4] == ["mrbrains18:", "case", "label", "status"]
    assert [row.split()[1:] for row in by_case.splitlines()[2:5]] == [
        [label, "missed", "0.0000", "0.0000"] for label in ("left", "right", "wall")
    ]
    assert by_label.splitlines()[2].split() == ["left", "4", "0.7500", "0.0000", "(of", "3)", "0.7500"]


def test_a_profile_that_does_not_exist_stops_before_anything_is_read(bench, tmp_path):
    done = bench("score", tmp_path, tmp_path, "--profile", "chaso")
    assert (done.code, done.out) == (2, "") and "Did you mean 'chaos'" in done.err


def test_profiles_are_listed(bench):
    done = bench("ls", "profiles", "--json")
    assert [json.loads(line)["name"] for line in done.out.splitlines()] == list(ALL)
