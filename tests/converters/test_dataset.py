"""The uniform format in memory, against the same on disk."""

from pathlib import Path

import msgspec
from tiny import tiny_dataset

from converters.check import check
from converters.dataset import Case, Dataset
from converters.description import Channel
from converters.files import read_json
from converters.volume import Volume, data_sha256, read_nifti, write_nifti
from converters.written import duplicates


def with_second_channel(made: Dataset, name: str) -> Dataset:
    """The same cases, each with a second channel of its own voxels."""
    cases = []
    for case in made.cases:
        first = case.images["cine"]
        volume = read_nifti(made.root / first.file)
        second = Volume(volume.array[::-1], volume.affine)
        file = first.file.replace("_0000", "_0001")
        write_nifti(made.root / file, second)
        extra = msgspec.structs.replace(first, file=file, data_sha256=data_sha256(second))
        cases.append(msgspec.structs.replace(case, images={"cine": first, name: extra}))
    card = msgspec.structs.replace(
        made.file.bench, channels=(*made.file.bench.channels, Channel(name=name, modality="MR"))
    )
    file = msgspec.structs.replace(made.file, channel_names={"0": "cine", "1": name}, bench=card)
    made = Dataset(made.root, file, tuple(cases))
    card = msgspec.structs.replace(card, content_sha256=made.content_sha256())
    made = Dataset(made.root, msgspec.structs.replace(file, bench=card), tuple(cases))
    made.save()
    return made


def test_channels_keep_their_order_whatever_their_names(tmp_path: Path) -> None:
    made = with_second_channel(tiny_dataset(tmp_path / "tiny", 3, shape=(6, 5, 3)), "a channel before cine")
    read = Dataset.load(made.root)
    assert [list(case.images) for case in read.cases] == [["cine", "a channel before cine"]] * len(read.cases)
    assert read.content_sha256() == made.file.bench.content_sha256
    assert check(made.root) == []


def test_the_same_voxels_are_found_whatever_the_order_of_the_channels(tmp_path: Path) -> None:
    made = with_second_channel(tiny_dataset(tmp_path / "tiny", 2, shape=(6, 5, 3)), "a channel before cine")
    first = made.cases[0]
    again = read_json(made.root / "cases" / f"{first.id}.json", Case)
    assert list(again.images) != list(first.images)
    other = msgspec.structs.replace(again, id="other", subject="somebody-else")
    assert duplicates([first, other]) == [["other", first.id]]
