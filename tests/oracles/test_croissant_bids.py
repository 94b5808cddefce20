"""Do the checkers of Croissant and BIDS take what we write? `make oracles` installs them and runs this."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from converters.convert import convert
from converters.dataset import Dataset
from converters.export import export
from converters.phantoms import acdc, chaos, mrbrains18


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Made-up datasets: one and several channels, regions of a brain, annotation sets, a CT."""
    folder = tmp_path_factory.mktemp("oracles")
    for source in (acdc, chaos, mrbrains18):
        name = source.__name__.rpartition(".")[2]
        source.write(folder / name, 2, 0)
        convert(name, folder / name, folder / "data")
    return folder / "data"


def program(name: str) -> Path:
    path = Path(sys.executable).parent / name
    if not path.is_file():
        pytest.skip(f"no {name}: needs the extra [oracles]")
    return path


def sound(croissant: Path) -> str:
    """What mlcroissant says; fails where it finds an error."""
    words = [program("mlcroissant"), "validate", "--jsonld", croissant]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acdc", "chaos-ct", "chaos-mr-t1", "mrbrains18"])
def test_mlcroissant_takes_the_card_of_a_dataset_and_the_export(data, tmp_path, name):
    root = data / f"phantom-{name}"
    assert "Done." in sound(root / "croissant.json")
    export("croissant", Dataset.load(root), tmp_path / "out")
    assert "Done." in sound(tmp_path / "out" / "croissant.json")


@pytest.mark.slow
def test_mlcroissant_finds_the_files_and_gives_the_cases(data, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="needs the extra [oracles]")
    dataset = Dataset.load(data / "phantom-mrbrains18")
    export("croissant", dataset, tmp_path / "out")
    read = mlcroissant.Dataset(jsonld=tmp_path / "out" / "croissant.json")
    rows = {one.uuid: list(read.records(one.uuid)) for one in read.metadata.record_sets}
    assert [row["cases/id"] for row in rows["cases"]] == [case.id for case in dataset.cases]
    assert len(rows["structures"]) == len(dataset.file.labels) + 1  # and 255


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chaos-mr-t1", "chaos-mr-t2", "mrbrains18", "mrbrains18-tissue"])
def test_the_bids_validator_finds_no_error_in_the_raw_dataset_and_its_labels(data, tmp_path, name):
    export("bids", Dataset.load(data / f"phantom-{name}"), tmp_path / "out")
    words = [program("bids-validator-deno"), "-r", "--format", "json", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    parts = [told, *told["derivativesSummary"].values()]
    assert len(parts) == 2
    errors = [one for part in parts for one in part["issues"]["issues"] if one["severity"] == "error"]
    assert (done.returncode, errors) == (0, [])
