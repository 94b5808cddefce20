"""`bench convert --channels`: some of a dataset's channels alone, on record (docs/preparation.md)."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from prepared import AFFINE, blob, info, raw_case

from converters.check import check
from converters.dataset import Dataset
from converters.errors import UsageError
from converters.inputs import Inputs, in_colours, inputs_of, preparation_of
from converters.phantoms import mrbrains13
from converters.preparation import NOTHING, Preparation, applied
from converters.volume import Volume

THREE = ("t1", "ir", "flair")


def scans(names: tuple[str, ...]) -> dict[str, Volume]:
    return {name: blob(contrast=number % 2) for number, name in enumerate(names)}


def test_channels_are_kept_in_the_order_they_are_named_and_the_record_says_of_which() -> None:
    label = Volume((blob().array > 400).astype(np.uint8), AFFINE)
    told = {name: {"EchoTime": 1.0} for name in THREE}
    case = raw_case("a", scans(THREE), label=label, acquisition=told)
    ((done, (one,)),) = applied([(info(channels=THREE), [case])], Preparation(channels=("flair", "t1")))
    loaded = one.load()
    assert [channel.name for channel in done.channels] == list(loaded.images) == ["flair", "t1"]
    assert np.array_equal(loaded.images["flair"].array, scans(THREE)["flair"].array)
    assert np.array_equal(loaded.label.array, label.array)
    assert list(loaded.acquisition) == ["t1", "flair"]
    assert done.name == "made-mr-flair-t1"
    assert done.preparation == {"steps": "channels", "channels": "flair, t1 of t1, ir, flair"}
    assert loaded.preparation == {}  # nothing was computed, by no software
    assert done.warnings[-1].startswith("prepared (channels): scores on it are not comparable with those on all")


def test_a_channel_that_is_not_there_is_refused_with_those_that_are() -> None:
    there = [(info(channels=THREE), [raw_case("a", scans(THREE))])]
    with pytest.raises(UsageError, match=r"made-mr has no channel 'flare'\. Did you mean 'flair'") as refused:
        applied(there, Preparation(channels=("t1", "flare")))
    assert refused.value.mend.startswith("its channels: t1, ir, flair;")
    with pytest.raises(UsageError, match="the channels t1, t1"):
        Preparation(channels=("t1", "t1"))


def test_of_joined_datasets_the_channels_of_any_may_be_kept() -> None:
    first, second = (
        (info(f"made-{name}", (name,)), [raw_case("a", {name: blob(contrast=number)})])
        for number, name in enumerate(("t2", "t1"))
    )
    asked = Preparation(join=("made-t2", "made-t1"), channels=("t1",))
    ((done, (case,)),) = applied([second, first], asked)
    loaded = case.load()
    assert (done.name, list(loaded.images)) == ("made-t2-t1-t1", ["t1"])
    assert np.array_equal(loaded.images["t1"].array, blob(contrast=1).array)
    assert done.preparation["steps"] == "join, channels"
    assert done.preparation["channels"] == "t1 of t2, t1"


def test_n4_asks_only_the_channels_that_are_kept_to_be_mr() -> None:
    mixed = dataclasses.replace(info(), channels=(*info().channels, *info(channels=("ct",), modality="CT").channels))
    there = [(mixed, [raw_case("a", scans(("t1", "ct")))])]
    with pytest.raises(UsageError, match="N4 is for MR; made-mr has ct"):
        applied(there, Preparation(n4=True))
    ((done, _),) = applied(there, Preparation(n4=True, channels=("t1",)))
    assert (done.name, done.preparation["steps"]) == ("made-mr-t1-n4", "n4, channels")


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("heads")
    mrbrains13.write(root, 2, 0)
    return root


def test_every_dataset_of_a_source_gets_a_name_and_a_content_of_its_own(bench, heads: Path, tmp_path: Path) -> None:
    words = ("convert", "mrbrains13", heads, tmp_path)
    assert bench(*words).code == bench(*words, "--channels", "t1").code == 0
    for name in ("phantom-mrbrains13", "phantom-mrbrains13-tissue"):
        whole, part = (Dataset.load(tmp_path / one) for one in (name, f"{name}-t1"))
        assert check(part.root) == []
        assert (whole.channels, part.channels) == (THREE, ("t1",))
        assert whole.file.bench.content_sha256 != part.file.bench.content_sha256
        assert "no voxel was resampled" in (part.root / "LICENSE.txt").read_text()
        for before, after in zip(whole.cases, part.cases, strict=True):
            assert before.images["t1"].data_sha256 == after.images["t1"].data_sha256
            assert (before.label, before.sources) == (after.label, after.sources)
            assert after.preparation == {"steps": "channels", "channels": "t1 of t1, ir, flair"}


def test_one_dataset_may_be_named_and_other_channels_take_the_place_of_the_first(bench, heads, tmp_path) -> None:
    words = ("convert", "mrbrains13", heads, tmp_path, "--only", "mrbrains13", "--json")

    def unchanged(*flags: str) -> int:
        done = bench(*words, *flags)
        assert done.code == 0, done.err
        return int(json.loads(done.out)["unchanged"])

    assert unchanged("--name", "mine", "--channels", "t1, flair") == 0
    assert unchanged("--name", "mine", "--channels", "t1,flair") == 3
    assert unchanged("--name", "mine", "--channels", "flair,t1") == 0  # another order is another dataset
    assert unchanged("--name", "mine", "--channels", "ir") == 0
    dataset = Dataset.load(tmp_path / "phantom-mine")
    assert dataset.channels == ("ir",) and check(dataset.root) == []
    assert len(list(dataset.root.rglob("images*/*.nii.gz"))) == len(dataset.cases)
    taken = bench(*words, "--channels", "t1", "--name", "mrbrains13-tissue")
    assert taken.code == 2 and "'mrbrains13-tissue' is the dataset on its native grid" in taken.err
    several = bench(*words[:4], "--channels", "t1", "--name", "mine")
    assert several.code == 2 and "one name, 'mine', for several datasets" in several.err


def test_a_file_needs_no_preparation_where_channels_alone_were_chosen(bench, heads: Path, tmp_path: Path) -> None:
    assert bench("convert", "mrbrains13", heads, tmp_path, "--channels", "t1", "--median", "3").code == 0
    inputs = inputs_of(Dataset.load(tmp_path / "phantom-mrbrains13-t1-median3"))
    assert preparation_of(inputs) == Preparation(median=3)
    alone = {"steps": "channels", "channels": "t1 of t1, ir, flair"}
    assert (
        preparation_of(Inputs(dataset="a", ndim=3, channels=inputs.channels, labels={}, preparation=alone)) == NOTHING
    )
    assert not in_colours(inputs)
