import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from contents import tree
from prepared import AFFINE, attempt, blob, info, raw_case

from converters.check import check
from converters.dataset import Dataset
from converters.errors import UsageError
from converters.phantoms import chaos
from converters.preparation import Preparation, applied
from converters.source import Info, RawCase
from converters.volume import Volume

T2 = AFFINE.copy()
T2[:3, :3] = np.diag([-2.5, -2.5, 4.0])
T2[:3, 3] = (44, 33, -34)
JOIN = Preparation(join=("made-mr-t1", "made-mr-t2"))
Found = list[tuple[Info, list[RawCase]]]


def t1(native: str, subject: str | None = None, **more: object) -> RawCase:
    label = Volume((blob().array > 400).astype(np.uint8), AFFINE)
    return raw_case(native, {"t1": blob()}, subject, label=label, **more)


def t2(native: str, subject: str | None = None, **more: object) -> RawCase:
    return raw_case(native, {"t2": blob((36, 28, 17), T2, contrast=1)}, subject, **more)


def found(firsts: list[RawCase], seconds: list[RawCase]) -> Found:
    plain = dataclasses.replace(info("made-mr-t2", ("t2",)), labels={"background": 0}, label_info={})
    return [(info("made-mr-t1"), firsts), (plain, seconds), (info("made-ct", ("ct",), "CT"), [t1("z")])]


def test_contrasts_come_onto_the_grid_of_the_first_by_their_headers() -> None:
    ((joined, (case,)),) = applied(found([t1("a")], [t2("a")]), JOIN)
    loaded = case.load()
    assert joined.name == "made-mr-t1-t2"
    assert [channel.name for channel in joined.channels] == list(loaded.images) == ["t1", "t2"]
    assert np.array_equal(loaded.images["t1"].array, blob().array)  # the first is not touched
    assert loaded.images["t2"].same_grid(loaded.images["t1"])
    straight = blob(contrast=1).array.astype(float)
    assert np.abs(loaded.images["t2"].array - straight)[4:-4, 4:-4, 4:-4].mean() < 15  # of 930 grey values
    assert loaded.images["t2"].array.dtype == np.int16
    assert 0.9 < float(loaded.preparation["covered_made-mr-t2"]) < 1  # one row at the back is not in it
    assert joined.preparation["join"] == "made-mr-t1, made-mr-t2"
    assert joined.preparation["register"] == "header"
    assert [path.name for path in case.files] == ["a.nii.gz"]


def test_channels_on_one_grid_are_joined_without_resampling() -> None:
    second = raw_case("a", {"t2": blob(contrast=1)})
    ((_, (case,)),) = applied(found([t1("a")], [second]), JOIN)
    assert np.array_equal(case.load().images["t2"].array, blob(contrast=1).array)


def test_a_person_who_moved_is_registered_and_the_move_is_told() -> None:
    moved = T2.copy()
    moved[:3, 3] += (5.0, -4.0, 3.0)  # the header says so, the body did not
    second = raw_case("a", {"t2": Volume(blob((36, 28, 17), T2, contrast=1).array, moved)})
    asked = dataclasses.replace(JOIN, register="rigid")
    ((joined, (case,)),) = applied(found([t1("a")], [second]), asked)
    loaded = case.load()
    assert joined.name == "made-mr-t1-t2-rigid"
    matrix = np.array(str(loaded.preparation["matrix_made-mr-t2"]).split(), float).reshape(3, 4)
    assert np.abs(matrix[:, 3] - (5, -4, 3)).max() < 0.5
    assert loaded.preparation["moved_mm_made-mr-t2"] == pytest.approx(np.sqrt(50), abs=1.0)
    inner = np.abs(loaded.images["t2"].array - blob(contrast=1).array.astype(float))[6:-6, 6:-6, 5:-5]
    assert inner.mean() < 15
    again = case.load()
    assert np.array_equal(again.images["t2"].array, loaded.images["t2"].array)


def test_who_lacks_a_contrast_is_reported_not_dropped() -> None:
    ((_, cases),) = applied(found([t1("a"), t1("b")], [t2("a"), t2("c")]), JOIN)
    assert {case.native_id: attempt(case) for case in cases} == {
        "a": "",
        "b": "has no made-mr-t2",
        "c": "has no made-mr-t1",
    }


def test_sessions_are_paired_by_their_names_and_never_guessed() -> None:
    ((_, cases),) = applied(
        found([t1("p-1", "p"), t1("p-2", "p"), t1("q", "q")], [t2("p-1", "p"), t2("p-3", "p"), t2("q-x", "q")]), JOIN
    )
    assert {case.native_id: attempt(case) for case in cases} == {
        "p-1": "",
        "p-2": "nobody says which of the 2 examinations of p in made-mr-t2 belongs to p-2",
        "q": "",
    }


def test_what_lies_elsewhere_is_not_joined_by_its_header() -> None:
    far = T2.copy()
    far[2, 3] += 500
    second = raw_case("a", {"t2": Volume(blob((36, 28, 17), T2).array, far)})
    ((_, (case,)),) = applied(found([t1("a")], [second]), JOIN)
    assert attempt(case).startswith("made-mr-t2 lies elsewhere")
    unknown = t2("a", spacing_known=False)
    ((_, (case,)),) = applied(found([t1("a")], [unknown]), JOIN)
    assert attempt(case).startswith("the files say nothing of millimetres")


def test_labels_and_scribbles_are_those_of_the_first() -> None:
    drawn = Volume(np.ones((36, 28, 17), np.uint8), T2)
    there = found([t1("a")], [t2("a", label=drawn)])
    there[1] = (info("made-mr-t2", ("t2",)), there[1][1])
    ((joined, (case,)),) = applied(there, JOIN)
    assert np.array_equal(case.load().label.array, t1("a").load().label.array)
    assert "labels are those of made-mr-t1; those drawn on made-mr-t2 are left out" in joined.warnings


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("made-mr-t1", "made-mr-t3"), "Did you mean 'made-mr-t"),
        (("made-mr-t1", "made-ct"), "no subject in common"),
        (("made-mr-t2", "made-mr-t1"), "made-mr-t1 has labels, made-mr-t2 has none"),
    ],
)
def test_what_does_not_belong_together_is_refused(names: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        applied(found([t1("a")], [t2("a")]), Preparation(join=names))


def test_two_datasets_of_the_same_images_are_not_joined() -> None:
    twice = [(info("made-mr-t1"), [t1("a")]), (info("made-mr-t2"), [t1("a")])]
    with pytest.raises(UsageError, match="have the channel t1 in common"):
        applied(twice, JOIN)


def test_chaos_is_joined_and_resampled_the_same_with_one_worker_and_two(bench: Callable, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    chaos.write(raw, 2, 0)
    flags = ("--join", "chaos-mr-t1,chaos-mr-t2", "--register", "rigid", "--spacing", "6,6,8")
    for jobs in (1, 2):
        done = bench("convert", "chaos", raw, tmp_path / str(jobs), *flags, "--jobs", jobs)
        assert done.code == 0, done.err
    root = tmp_path / "2" / "phantom-chaos-mr-t1-t2-rigid-6x6x8mm"
    assert tree(root) == tree(tmp_path / "1" / root.name)
    assert check(root) == []
    dataset = Dataset.load(root)
    case = dataset.case("mr-1")
    assert dataset.channels == ("in-phase", "out-phase", "t2")
    assert case.geometry.spacing_mm == (6.0, 6.0, 8.0)
    assert case.preparation.items() >= dataset.file.bench.preparation.items()
    assert any("not comparable" in warning for warning in dataset.file.bench.warnings)
    assert any("registration moved chaos-mr-t2" in warning for warning in case.warnings)
