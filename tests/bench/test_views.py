from pathlib import Path

import msgspec
import numpy as np
import pytest
from contents import facts, labels, tree
from tiny import EXPERT, tiny_dataset

from bench import protocols, splits
from bench.views import view
from converters.check import check
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError, UsageError
from converters.files import write_json
from converters.volume import Volume, read_label, write_nifti

ALL = ("full", "semi10", "semi40", "scribble", "noisy")


def test_the_tiny_dataset_is_a_clean_one(made):
    assert check(made[0].root) == []


@pytest.mark.parametrize("name", ALL)
def test_a_view_holds_the_training_cases_and_no_other(made, tmp_path, name):
    dataset, split = made
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "view")
    assert set(seen.subjects) == set(split.train)
    assert [c.id for c in seen.cases] == [c.id for c in dataset.only(split.train).cases]
    for case in seen.cases:
        for channel, image in case.images.items():
            assert not Path(image.file).is_absolute()
            assert seen.path(image.file).resolve() == dataset.path(dataset.case(case.id).images[channel].file).resolve()
    assert check(seen.root) == []


def test_full_shows_every_reference_as_it_is(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("full"), 0, tmp_path / "view")
    clean = labels(dataset.only(split.train))
    assert labels(seen).keys() == clean.keys()
    assert all(np.array_equal(array, clean[case]) for case, array in labels(seen).items())
    assert all(c.label.data_sha256 == dataset.case(c.id).label.data_sha256 for c in seen.cases)


def test_semi_shows_both_cases_of_the_drawn_subjects(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("semi40"), 3, tmp_path / "view")
    shown = {c.subject for c in seen.cases if c.label is not None}
    assert shown == set(splits.labelled(split, 40, 3))
    assert len(labels(seen)) == 2 * len(shown)
    assert len(seen.cases) == 2 * len(split.train)


def test_scribble_shows_the_experts_strokes_where_there_are_some(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("scribble"), 0, tmp_path / "view")
    assert facts(seen)["annotator"] == "expert"
    assert {(c.label.kind, c.label.origin) for c in seen.cases} == {("scribble", "expert")}
    for case, array in labels(seen).items():
        known = read_label(dataset.path(dataset.case(case).annotations[EXPERT].file)).array
        assert np.array_equal(array, known)
    assert protocols.notices(seen) == []


@pytest.mark.fault(58)
def test_scribble_is_simulated_where_no_expert_drew_and_says_so(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 4)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse("scribble"), 0, tmp_path / "view")
    assert facts(seen)["annotator"] == "simulated scribble"
    assert {(c.label.kind, c.label.origin) for c in seen.cases} == {("scribble", "simulated")}
    clean = labels(dataset)
    for case, array in labels(seen).items():
        assert np.array_equal(array[array != IGNORE], clean[case][array != IGNORE])
    assert protocols.notices(seen) == ["scribble: the scribbles are simulated from the reference labels"]


@pytest.mark.fault(58)
def test_an_expert_asked_for_by_name_must_be_there(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 4)
    split = splits.freeze_default(dataset)
    with pytest.raises(BenchError, match="tiny has no expert scribbles; annotation sets: none"):
        view(dataset, split, protocols.parse("scribble", annotator="expert"), 0, tmp_path / "view")
    assert not (tmp_path / "view").exists()


def test_simulated_scribbles_may_be_asked_for_where_there_are_expert_ones(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("scribble", annotator="scribble"), 0, tmp_path / "view")
    assert facts(seen)["annotator"] == "simulated scribble"


def test_noise_disturbs_the_stated_share_of_subjects_and_leaves_the_others_alone(made, tmp_path):
    dataset, split = made
    clean = labels(dataset)
    shares = {}
    for percent in (25, 50, 100):
        seen = view(dataset, split, protocols.parse(f"noisy{percent}"), 0, tmp_path / str(percent))
        shares[percent] = {seen.case(c).subject for c, a in labels(seen).items() if not np.array_equal(a, clean[c])}
        assert len(shares[percent]) == -(-percent * len(split.train) // 100) == facts(seen)["disturbed_subjects"]
        assert {c.label.kind for c in seen.cases} == {"noisy"}  # which are clean is not told
    assert shares[25] < shares[50] < shares[100]


def test_labels_do_not_depend_on_the_other_cases(made, tmp_path):
    dataset, split = made
    for name in ("noisy100", "scribble"):
        protocol = protocols.parse(name, annotator="scribble" if name == "scribble" else None)
        whole = view(dataset, split, protocol, 0, tmp_path / f"whole-{name}")
        few = msgspec.structs.replace(split, train=tuple(reversed(split.train[:3])))
        part = view(dataset, few, protocol, 0, tmp_path / f"part-{name}")
        assert len(part.cases) == 6
        assert all(np.array_equal(array, labels(whole)[case]) for case, array in labels(part).items())


@pytest.mark.parametrize("name", ALL)
def test_the_same_view_twice_is_the_same_bytes(made, tmp_path, name):
    dataset, split = made
    trees = [tree(view(dataset, split, protocols.parse(name), 7, tmp_path / f"{n}").root) for n in range(2)]
    assert trees[0] == trees[1]


def test_another_draw_gives_other_labels(made, tmp_path):
    dataset, split = made
    a, b = (labels(view(dataset, split, protocols.parse("noisy100"), n, tmp_path / str(n))) for n in range(2))
    assert any(not np.array_equal(a[case], b[case]) for case in a)


def test_a_view_that_lies_there_is_given_back_untouched(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("semi40"), 0, tmp_path / "view")
    times = {p: p.stat().st_mtime_ns for p in seen.root.rglob("*")}
    again = view(dataset, split, protocols.parse("semi40"), 0, tmp_path / "view")
    assert again.cases == seen.cases
    assert {p: p.stat().st_mtime_ns for p in seen.root.rglob("*")} == times


@pytest.mark.parametrize(("name", "draw"), [("semi40", 1), ("semi50", 0), ("full", 0)])
def test_a_folder_with_another_view_is_left_alone(made, tmp_path, name, draw):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("semi40"), 0, tmp_path / "view")
    before = tree(seen.root)
    with pytest.raises(BenchError, match="another dataset or view"):
        view(dataset, split, protocols.parse(name), draw, tmp_path / "view")
    assert tree(seen.root) == before


def test_a_folder_with_something_else_is_left_alone(made, tmp_path):
    dataset, split = made
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "thesis.txt").write_text("all my work")
    with pytest.raises(BenchError, match="something else than a view"):
        view(dataset, split, protocols.parse("full"), 0, tmp_path / "view")
    with pytest.raises(BenchError, match="another dataset or view"):
        view(dataset, split, protocols.parse("full"), 0, dataset.root)
    assert tree(tmp_path / "view") == {"thesis.txt": b"all my work"}


def test_an_empty_folder_is_room_for_a_view(made, tmp_path):
    dataset, split = made
    (tmp_path / "view").mkdir()
    assert view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "view").cases


def test_a_damaged_view_is_refused(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "view")
    case = next(c for c in seen.cases if c.label is not None)
    old = read_label(seen.path(case.label.file))
    write_nifti(seen.path(case.label.file), Volume(np.zeros_like(old.array), old.affine))
    with pytest.raises(BenchError, match="not those that the sidecar names"):
        view(dataset, split, protocols.parse("semi10"), 0, seen.root)
    write_json(seen.root / "cases" / f"{case.id}.json", msgspec.structs.replace(case, label=None))
    with pytest.raises(BenchError, match="not whole"):
        view(dataset, split, protocols.parse("semi10"), 0, seen.root)


def test_a_label_file_that_is_not_the_datasets_stops_the_view_and_leaves_nothing(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 6)
    split = splits.freeze_default(dataset)
    case = dataset.only(splits.labelled(split, 50, 0)).cases[-1]
    old = read_label(dataset.path(case.label.file))
    write_nifti(dataset.path(case.label.file), Volume(np.zeros_like(old.array), old.affine))
    with pytest.raises(BenchError, match="not those that the sidecar names"):
        view(dataset, split, protocols.parse("semi50"), 0, tmp_path / "runs" / "view")
    assert list((tmp_path / "runs").iterdir()) == []


def test_changed_expert_strokes_make_another_view(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 4, scribbles=True)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse("scribble"), 0, tmp_path / "view")
    case = seen.cases[0]
    strokes = dataset.case(case.id).annotations[EXPERT]
    redrawn = msgspec.structs.replace(
        dataset.case(case.id), annotations={EXPERT: msgspec.structs.replace(strokes, data_sha256="0" * 64)}
    )
    write_json(dataset.root / "cases" / f"{case.id}.json", redrawn)
    with pytest.raises(BenchError, match="another dataset or view"):
        view(Dataset.load(dataset.root), split, protocols.parse("scribble"), 0, tmp_path / "view")


def test_subjects_that_nobody_labelled_stay_in_the_view_and_are_never_drawn(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 12, unlabelled=6)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse("semi50"), 0, tmp_path / "view")
    assert {"s06", "s07", "s08", "s09", "s10", "s11"} <= set(seen.subjects)
    assert facts(seen)["training_subjects"] == len(split.train) - 6
    assert len(labels(seen)) == 2 * facts(seen)["labelled_subjects"]
    assert any("imagesUn" in image.file for case in seen.cases for image in case.images.values())


def test_a_view_is_made_of_a_dataset_not_of_a_view(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("full"), 0, tmp_path / "view")
    with pytest.raises(BenchError, match="view of a view"):
        view(seen, split, protocols.parse("full"), 0, tmp_path / "again")


def test_an_unknown_draw_is_refused_before_anything_is_written(made, tmp_path):
    dataset, split = made
    with pytest.raises(UsageError, match="no draw 'ssl4mis'"):
        view(dataset, split, protocols.parse("semi10"), "ssl4mis", tmp_path / "view")
    assert not (tmp_path / "view").exists()
