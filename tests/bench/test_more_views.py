"""Views of protocols that show less, of noise whose clean share is known, and with another dataset's cases."""

import dataclasses
import json
from functools import partial

import msgspec
import numpy as np
import pytest
from contents import facts, labels, tree
from tiny import heart, tiny_dataset

from bench import protocols, splits, task_view
from bench.budget import BOX, CARELESS, CLICK, OUTLINE, STROKE, budget
from bench.views import view
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError
from converters.files import write_json
from leaderboards.record import Budget


def shown(made, tmp_path, name, annotator=None):
    dataset, split = made
    return view(dataset, split, protocols.parse(name, annotator=annotator), 0, tmp_path / f"{name}-{annotator}")


def test_shorter_scribbles_are_parts_of_the_experts_and_of_simulated_ones(made, tmp_path):
    for annotator in (None, "curve"):
        whole, half, least = (labels(shown(made, tmp_path, f"scribble{n}", annotator)) for n in ("", 2, 16))
        for case, strokes in whole.items():
            assert (half[case] == strokes)[half[case] != IGNORE].all()
            assert (least[case] == half[case])[least[case] != IGNORE].all()
            sizes = [int((array != IGNORE).sum()) for array in (least[case], half[case], strokes)]
            assert sizes == sorted(sizes) and sizes[1] < sizes[2]
    assert facts(shown(made, tmp_path, "scribble4"))["stroke_parts"] == 4
    assert protocols.notices(shown(made, tmp_path, "scribble", "curve"))


@pytest.mark.parametrize(
    ("name", "kind"), [("clicks1", "points"), ("boxes", "partial"), ("slices2", "partial"), ("classes1", "partial")]
)
def test_each_way_to_show_less_says_what_it_is(made, tmp_path, name, kind):
    seen = shown(made, tmp_path, name)
    assert {(case.label.kind, case.label.origin) for case in seen.cases} == {(kind, "simulated")}
    dataset, _ = made
    for case, array in labels(seen).items():
        annotated = array != IGNORE
        assert 0 < annotated.mean() < 1
        assert np.array_equal(array[annotated], labels(dataset)[case][annotated])


def test_a_view_may_tell_which_labels_nobody_disturbed(made, tmp_path):
    dataset, _ = made
    told, untold = shown(made, tmp_path, "noisy50", "jsrt:trusted=1"), shown(made, tmp_path, "noisy50", "jsrt")
    clean = labels(dataset)
    for case, array in labels(told).items():
        same = told.case(case).label.data_sha256 == dataset.case(case).label.data_sha256
        assert told.case(case).label.kind == ("dense" if same else "noisy")
        assert same == np.array_equal(array, clean[case])
    assert {case.label.kind for case in told.cases} == {"dense", "noisy"}
    assert {case.label.kind for case in untold.cases} == {"noisy"}
    assert all(np.array_equal(array, labels(untold)[case]) for case, array in labels(told).items())
    assert facts(told)["annotator"] == "simulated JSRT noise (clean ones known)"
    assert facts(untold)["annotator"] == "simulated JSRT noise"


def test_severity_stands_in_the_facts_and_in_the_name_of_the_annotator(made, tmp_path):
    seen = shown(made, tmp_path, "noisy50", "dilate:severity=0.5")
    assert facts(seen)["annotator"] == "simulated dilation (severity=0.5)"
    assert facts(seen)["option.severity"] == 0.5


def test_two_structures_cannot_be_swapped_where_there_is_one(tmp_path):
    dataset = tiny_dataset(tmp_path / "tiny", 5)
    split = splits.freeze_default(dataset)
    one = dataclasses.replace(dataset, file=msgspec.structs.replace(dataset.file, labels={"background": 0, "right": 1}))
    with pytest.raises(BenchError, match="too few structures for annotator 'swap': 1, and it needs 2"):
        view(one, split, protocols.parse("noisy50", annotator="swap"), 0, tmp_path / "view")


@pytest.mark.parametrize("typed", [("classes4", None), ("classes1", "classes:count=4")])
def test_no_more_structures_are_shown_than_there_are(made, tmp_path, typed):
    name, annotator = typed
    shown(made, tmp_path, "classes3")
    wanted = protocols.parse(name, annotator=annotator)
    for look in (partial(shown, made, tmp_path, name, annotator), partial(task_view.shown, *made, wanted, 0, "labels")):
        with pytest.raises(BenchError, match="cannot show 4 structures: tiny has 3, right, wall, left") as refused:
            look()
        assert refused.value.mend == "--protocol classes3, or fewer"
    assert not (tmp_path / f"{name}-{annotator}").exists()


# --- minutes


def outlines(made):
    """Slices of the training cases times structures in them: three in each but the first."""
    return 2 * len(made[1].train) * 3 * 3


def test_minutes_of_dense_labels_are_outlines(made, tmp_path):
    dataset, split = made
    full = budget(shown(made, tmp_path, "full"), dataset)
    assert full.minutes == pytest.approx(OUTLINE * outlines(made) / 60, abs=0.01)
    semi = budget(shown(made, tmp_path, "semi40"), dataset)
    assert semi.minutes == pytest.approx(full.minutes * semi.labelled_subjects / len(split.train), abs=0.01)


def test_minutes_of_noisy_labels_count_what_was_drawn_carelessly(made, tmp_path):
    dataset, split = made
    n, disturbed = len(split.train), -(-len(split.train) // 4)
    found = budget(shown(made, tmp_path, "noisy25"), dataset)
    each = outlines(made) / n
    assert found.minutes == pytest.approx(each * (disturbed * CARELESS + (n - disturbed) * OUTLINE) / 60, abs=0.01)


def test_minutes_of_clicks_boxes_and_strokes(made, tmp_path):
    dataset, split = made
    cases, marks = 2 * len(split.train), outlines(made)
    clicks = budget(shown(made, tmp_path, "clicks2"), dataset)
    assert clicks.annotated_voxels == 2 * (marks + 4 * cases)  # background of four slices, too
    assert clicks.minutes == pytest.approx(CLICK * clicks.annotated_voxels / 60, abs=0.01)
    assert budget(shown(made, tmp_path, "boxes"), dataset).minutes == pytest.approx(BOX * marks / 60, abs=0.01)
    whole, eighth = (
        budget(shown(made, tmp_path, name, "skeleton"), dataset).minutes for name in ("scribble", "scribble8")
    )
    assert whole >= STROKE * marks / 60 - 0.01
    assert CLICK * marks / 60 < eighth < whole / 2


def test_minutes_put_all_protocols_on_one_axis_in_the_order_of_their_labour(made, tmp_path):
    names = ("clicks1", "scribble4", "scribble", "full")
    minutes = [
        budget(shown(made, tmp_path, name, "curve" if "scr" in name else None), made[0]).minutes for name in names
    ]
    assert minutes == sorted(minutes)


def test_a_budget_without_minutes_is_written_as_before():
    old = Budget(labelled_subjects=1, labelled_cases=2, annotated_voxels=9, annotated_slices=3)
    assert json.loads(msgspec.json.encode(old)) == {
        "labelled_subjects": 1,
        "labelled_cases": 2,
        "annotated_voxels": 9,
        "annotated_slices": 3,
        "agreement": None,
    }


# --- another dataset's cases


@pytest.fixture
def pair(tmp_path):
    """A tiny dataset and another one, of other people, in other folders."""
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 6)
    splits.freeze_default(dataset)
    other = tiny_dataset(tmp_path / "data" / "more", 3, shape=(36, 30, 5))
    return dataset, renamed(other)


def renamed(dataset, name="more", collection="elsewhere", **card):
    """The dataset under another name, from another collection."""
    source = msgspec.structs.replace(dataset.file.bench.source, collection=collection)
    file = msgspec.structs.replace(
        dataset.file, name=name, bench=msgspec.structs.replace(dataset.file.bench, source=source, **card)
    )
    write_json(dataset.root / "dataset.json", file)
    return Dataset.load(dataset.root)


def test_cases_of_another_dataset_join_without_a_trace_of_their_labels(pair, tmp_path):
    dataset, other = pair
    split, protocol = dataset.split("default"), protocols.parse("semi50")
    seen = view(dataset, split, protocol, 0, tmp_path / "view", others=other)
    joined = [case for case in seen.cases if case.id.startswith("more-")]
    assert len(joined) == len(other.cases) == 6 and {case.label for case in joined} == {None}
    assert all(seen.path(image.file).is_file() for case in joined for image in case.images.values())
    assert {case.subject for case in joined} == {"more-s00", "more-s01", "more-s02"}
    assert facts(seen)["unlabelled"] == "more" and facts(seen)["unlabelled_cases"] == 6
    assert facts(seen)["unlabelled_sha256"] == other.file.bench.content_sha256
    everything = b"".join(tree(seen.root).values())
    assert all(case.label.data_sha256.encode() not in everything for case in other.cases)
    alone = view(dataset, split, protocol, 0, tmp_path / "alone")
    assert labels(alone).keys() == labels(seen).keys() and budget(seen, dataset) == budget(alone, dataset)
    with pytest.raises(BenchError, match="another dataset or view"):
        view(dataset, split, protocol, 0, tmp_path / "view")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": ()}, "its channels are"),
        ({"ndim": 2}, "it is 2D, not 3D"),
        ({"collection": "tiny"}, "of the same collection"),
    ],
)
def test_a_dataset_that_does_not_go_with_it_is_refused_and_leaves_nothing(pair, tmp_path, change, said):
    dataset, other = pair
    with pytest.raises(BenchError, match=said):
        view(
            dataset,
            dataset.split("default"),
            protocols.parse("full"),
            0,
            tmp_path / "v",
            others=renamed(other, **change),
        )
    assert not (tmp_path / "v").exists()


def test_a_dataset_with_the_same_images_is_refused(tmp_path):
    dataset, twin = (tiny_dataset(tmp_path / name, 5) for name in ("tiny", "twin"))
    split = splits.freeze_default(dataset)
    with pytest.raises(BenchError, match="10 of its cases have images that are in tiny"):
        view(dataset, split, protocols.parse("full"), 0, tmp_path / "v", others=renamed(twin, "twin"))


def test_a_run_learns_from_another_datasets_images_and_says_so(pair, tmp_path, bench):
    quick = ["--set", "train.steps=2", "--set", "train.patch=[16, 16]", "--set", "train.net.widths=[4, 8]"]
    quick += ["--set", "train.net.dropout=[0.0, 0.0]", "--set", "train.batch=4", "--preset", "cpu", "--device", "cpu"]
    line = ["run", "--dataset", "tiny", "--protocol", "semi50", "--method", "mean_teacher", "--json", *quick]
    line += ["--data", tmp_path / "data", "--runs", tmp_path / "runs"]
    alone, more = bench(*line), bench(*line, "--unlabelled", "more")
    assert (alone.code, more.code) == (0, 0), more.err
    alone, more = json.loads(alone.out), json.loads(more.out)
    assert more["recipe"]["unlabelled"] == "more" and "unlabelled" not in alone["recipe"]
    assert more["digests"]["unlabelled"] == pair[1].file.bench.content_sha256
    assert more["digests"]["model"] != alone["digests"]["model"]
    assert more["budget"] == alone["budget"]
    assert len(list((tmp_path / "runs").rglob("record.json"))) == 2
    refused = bench(*line, "--unlabelled", "moore")
    assert refused.code == 2 and "more" in refused.err


def test_the_hearts_of_the_tests_have_three_structures_in_all_slices_but_the_first():
    label = heart("s00-ed", (32, 28, 4))
    assert [len(np.unique(label[..., z])) for z in range(4)] == [1, 4, 4, 4]
