import hashlib
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny import EXPERT, tiny_dataset

from bench import protocols, splits
from bench.views import budget, view
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError, UsageError
from converters.files import write_json
from converters.volume import Volume, read_label, write_nifti

ALL = ("full", "semi10", "semi40", "scribble", "noisy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A dataset of twelve subjects with expert scribbles, and its default split: read only."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("made") / "data" / "tiny", 12, scribbles=True)
    return dataset, splits.freeze_default(dataset)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def labels(dataset: Dataset) -> dict[str, np.ndarray]:
    return {c.id: read_label(dataset.path(c.label.file)).array for c in dataset.cases if c.label is not None}


def facts(seen: Dataset) -> dict:
    return seen.file.bench.parent.protocol


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


@pytest.mark.parametrize("name", ALL)
def test_no_byte_of_a_view_leads_to_a_hidden_label(made, tmp_path, name):
    dataset, split = made
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "runs" / "view")
    everything = b"\n".join(tree(seen.root).values()) + "\n".join(tree(seen.root)).encode()
    shown = {c.label.data_sha256 for c in seen.cases if c.label is not None}
    for case in dataset.cases:
        visible = case.subject in seen.subjects and seen.case(case.id).label is not None
        told = [case.native_id, case.sources[0].path, case.sources[0].sha256, case.warnings[0], "volume_ml"]
        told += [f"annotations/{EXPERT}/{case.id}", f"tiny/labelsTr/{case.id}"]
        told += [] if case.label.data_sha256 in shown else [case.label.data_sha256]
        told += [] if visible else [f"labelsTr/{case.id}", json.dumps(case.label.voxels)]
        if case.annotations[EXPERT].data_sha256 not in shown:
            told.append(case.annotations[EXPERT].data_sha256)
        for text in told:
            assert text.encode() not in everything, f"{text} of {case.id}"
        file = dataset.path(case.label.file)
        if case.label.data_sha256 not in shown:
            assert hashlib.sha256(file.read_bytes()).hexdigest() not in {
                hashlib.sha256(data).hexdigest() for data in tree(seen.root).values()
            }
    for case in dataset.only((*split.val, *split.test)).cases:
        assert case.id.encode() not in everything
    card = json.loads((seen.root / "dataset.json").read_bytes())["bench"]
    assert card["warnings"] == card["annotation_sets"] == []
    assert card["source"]["sha256"] == ""


@pytest.mark.parametrize("name", ["semi10", "scribble"])
def test_a_view_lives_on_when_every_label_of_its_dataset_is_gone(tmp_path, name):
    dataset = tiny_dataset(tmp_path / "tiny", 6, scribbles=True)
    split = splits.freeze_default(dataset)
    seen = view(dataset, split, protocols.parse(name), 0, tmp_path / "view")
    before = tree(seen.root)
    shutil.rmtree(dataset.root / "labelsTr")
    shutil.rmtree(dataset.root / "annotations")
    again = Dataset.load(seen.root)
    assert tree(again.root) == before
    assert labels(again).keys() == labels(seen).keys()
    assert all(again.path(image.file).is_file() for case in again.cases for image in case.images.values())
    # A finished view is given back without a look at the parent's labels.
    assert view(dataset, split, protocols.parse(name), 0, seen.root).cases == seen.cases


def test_garbage_in_hidden_labels_changes_no_label_of_the_view(tmp_path):
    views = []
    for name in ("clean", "poisoned"):
        dataset = tiny_dataset(tmp_path / name / "tiny", 10)
        split = splits.freeze_default(dataset)
        if name == "poisoned":
            hidden = set(dataset.subjects) - set(splits.labelled(split, 30, 0))
            for case in dataset.only(tuple(hidden)).cases:
                path = dataset.path(case.label.file)
                old = read_label(path)
                write_nifti(path, Volume(np.full_like(old.array, 3), old.affine))
        views.append(tree(view(dataset, split, protocols.parse("semi30"), 0, tmp_path / name / "view").root))
    assert views[0] == views[1]


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


def test_a_share_that_rounds_to_nobody_is_told_with_the_real_share(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 5)
    split = splits.freeze_default(dataset)
    assert len(split.train) == 3
    seen = view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "view")
    assert (facts(seen)["labelled_subjects"], facts(seen)["real_percent"]) == (1, 33.33)
    told = "10 % of 3 training subjects is less than one; one labelled subject is the least, a real share of 33.3 %"
    assert protocols.notices(seen) == [f"semi10: {told}"]
    noisy = view(dataset, split, protocols.parse("noisy"), 0, tmp_path / "noisy")
    assert protocols.notices(noisy) == [
        "noisy50: 50 % of 3 labelled subjects is rounded up to 2 disturbed, a real share of 66.7 %"
    ]


def test_the_budget_counts_what_was_annotated(made, tmp_path):
    dataset, split = made
    size, depth = 32 * 28 * 4, 4
    full = budget(view(dataset, split, protocols.parse("full"), 0, tmp_path / "full"), dataset)
    n = len(split.train)
    assert (full.labelled_subjects, full.labelled_cases) == (n, 2 * n)
    assert (full.annotated_voxels, full.annotated_slices) == (2 * n * size, 2 * n * depth)
    assert full.agreement is None
    semi = budget(view(dataset, split, protocols.parse("semi10"), 0, tmp_path / "semi"), dataset)
    assert (semi.labelled_subjects, semi.annotated_voxels) == (1, 2 * size)
    scribble = view(dataset, split, protocols.parse("scribble"), 0, tmp_path / "scribble")
    found = budget(scribble, dataset)
    assert (
        found.annotated_voxels
        == sum(int((a != IGNORE).sum()) for a in labels(scribble).values())
        < full.annotated_voxels
    )
    assert found.agreement is None


def test_the_agreement_is_the_mean_dice_of_the_disturbed_labels(made, tmp_path):
    dataset, split = made
    seen = view(dataset, split, protocols.parse("noisy50"), 0, tmp_path / "view")
    clean, dices = labels(dataset), []
    for case, noisy in labels(seen).items():
        if not np.array_equal(noisy, clean[case]):
            for code in (1, 2, 3):
                a, b = noisy == code, clean[case] == code
                dices.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert budget(seen, dataset).agreement == pytest.approx(np.mean(dices), abs=1e-12)
    assert 0.5 < np.mean(dices) < 0.97
