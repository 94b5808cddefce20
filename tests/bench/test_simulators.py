"""Annotators that show less: strokes, clicks, boxes, slices, classes; and what all annotators share."""

import numpy as np
import pytest
from tiny import SPACING, heart

from bench.annotator import Given, find, names
from bench.annotator_options import OPTIONS
from bench.shorten import shortened
from bench.walk import walk_without_spur
from converters.dataset import IGNORE
from converters.errors import UsageError

STROKES = ("scribble", "skeleton", "curve")
INSIDE = (*STROKES, "clicks", "slices", "classes")
NOISE = ("boundary", "dilate", "erode", "edge", "affine", "elastic", "polygon", "missing", "swap", "jsrt")
EVERY = (*INSIDE, "box", *NOISE)


def drawn(name, label, seed=0, spacing=SPACING, axis=2, **options):
    known = dict(OPTIONS[name]) | options
    return find(name)(Given(label, None, spacing, axis, np.random.default_rng(seed), known, seed))


def planes(label, axis=2):
    return np.moveaxis(label, axis, 0)


def codes(label):
    return set(np.unique(label).tolist()) - {IGNORE}


def odd():
    """What breaks simulators: a single voxel, a line, a touch of the border, a full slice, an empty one."""
    label = np.zeros((30, 26, 6), np.uint8)
    label[12, 12, 1] = 1
    label[3:20, 5, 2] = 2
    label[:9, :7, 3] = 1
    label[20:, 18:, 3] = 3
    label[..., 4] = 2
    return label


def test_every_annotator_is_named_by_its_file_and_has_the_options_it_reads():
    assert set(names()) == {"dense", "expert", *EVERY}
    assert set(OPTIONS) == set(EVERY)
    with pytest.raises(UsageError, match="Did you mean 'skeleton'"):
        find("skelton")


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("made", [lambda: heart("a", (64, 60, 5)), odd], ids=["heart", "odd"])
def test_what_is_shown_is_true_and_the_reference_is_left_alone(name, made):
    label = made()
    before = label.copy()
    shown = drawn(name, label)
    annotated = shown != IGNORE
    assert shown.dtype == np.uint8 and shown.shape == label.shape
    assert annotated.any() and np.array_equal(shown[annotated], label[annotated])
    assert np.array_equal(label, before)


@pytest.mark.parametrize("name", [*STROKES, "clicks"])
@pytest.mark.parametrize("made", [lambda: heart("a", (64, 60, 5)), odd], ids=["heart", "odd"])
@pytest.mark.parametrize("axis", [0, 2])
def test_every_class_of_a_slice_has_a_mark_in_it(name, made, axis):
    label = np.moveaxis(made(), 2, axis).copy()
    spacing = tuple(np.roll((1.2, 1.5, 7.0), axis + 1))
    shown = drawn(name, label, 3, spacing, axis)
    for marks, known in zip(planes(shown, axis), planes(label, axis), strict=True):
        assert codes(marks) == codes(known)


@pytest.mark.parametrize("name", EVERY)
def test_a_flat_image_a_turned_one_and_one_with_gaps_are_drawn_on(name):
    flat = heart("a", (48, 44, 4))[..., 2:3].copy()
    assert drawn(name, flat).shape == flat.shape
    label = heart("a", (48, 44, 4))
    turned = drawn(name, np.moveaxis(label, 2, 0).copy(), axis=0, spacing=(8.0, 1.5, 1.5))
    assert np.array_equal(np.moveaxis(turned, 0, 2), drawn(name, label, spacing=(1.5, 1.5, 8.0)))
    label[:20] = IGNORE
    assert (drawn(name, label)[:20] == IGNORE).all()


@pytest.mark.parametrize("name", EVERY)
def test_a_seed_decides_every_byte_and_nothing_else_does(name):
    label = heart("a", (48, 44, 4))
    # Structures this small reach their largest shift with any full radius.
    options = {"severity": 0.2} if name in ("dilate", "erode") else {}
    first = drawn(name, label, 3, **options)
    drawn(name, heart("b", (40, 40, 3)), 5)
    assert np.array_equal(drawn(name, label, 3, **options), first)
    if name != "box":
        assert any(not np.array_equal(drawn(name, label, seed, **options), first) for seed in range(4, 9))
    empty = np.zeros((20, 20, 3), np.uint8)
    assert codes(drawn(name, empty)) <= {0}


@pytest.mark.parametrize("name", ["skeleton", "curve", "clicks"])
def test_a_stroke_depends_on_its_own_class_and_slice_alone(name):
    label = heart("a", (64, 60, 5))
    # The wall becomes part of what is around it: the disc inside is where it was.
    other = np.where(label == 1, np.uint8(0), label)
    a, b = drawn(name, label, 2), drawn(name, other, 2)
    assert np.array_equal(a == 3, b == 3) and (a == 3).any()
    gone = label.copy()
    gone[..., 2] = 0
    assert np.array_equal(drawn(name, gone, 2)[..., 3] == 3, a[..., 3] == 3)


def test_a_skeleton_stroke_is_as_wide_as_published_and_the_background_is_not_widened():
    label = np.zeros((60, 80, 1), np.uint8)
    label[20:29, 10:70] = 1
    shown = drawn("skeleton", label, erode_area=0.0, move_area=1e9)
    assert (shown == 1).any(axis=(1, 2)).sum() == 3  # one dilation of a straight line
    assert (shown == 1).any(axis=(0, 2)).sum() > 35
    line = shown[..., 0] == 0
    assert not (line[1:, 1:] & line[:-1, 1:] & line[1:, :-1] & line[:-1, :-1]).any()


def test_a_large_structure_is_eroded_and_its_stroke_moved_but_never_out_of_it():
    label = np.zeros((120, 120, 1), np.uint8)
    label[10:110, 40:52] = 1
    still, moved = drawn("skeleton", label, 1, move_area=1e9), drawn("skeleton", label, 1)
    assert not np.array_equal(still, moved)
    assert set(moved[label > 0].tolist()) == {1, IGNORE}


def test_a_walk_that_ends_beside_a_fork_is_cut_back_to_it():
    line = np.zeros((9, 30), bool)
    line[4, 2:20] = True
    line[3, 19] = line[5, 20] = True  # a fork with ways of one pixel
    path = walk_without_spur(line, np.random.default_rng(0))
    assert path[0] == (4, 2) and path[-1][1] < 20
    assert (3, 19) not in path and (5, 20) not in path
    straight = np.zeros((3, 12), bool)
    straight[1, 1:11] = True
    assert walk_without_spur(straight, np.random.default_rng(0)) == [(1, j) for j in range(1, 11)]


def test_a_curve_crosses_the_inside_and_a_piece_of_contour_follows_the_border():
    x, y = np.meshgrid(np.arange(80), np.arange(80), indexing="ij")
    label = (np.hypot(x - 40, y - 40) < 25).astype(np.uint8)[..., None]
    inward = 25 - np.hypot(x - 40, y - 40)
    both = [drawn("curve", label, seed)[..., 0] == 1 for seed in range(6)]
    assert all(60 < mark.sum() < 500 for mark in both)
    near = [mark & (inward < 8) for mark in both]
    # Eroded by a disc of 2 to 5 pixels, and a pen of 3 pixels on 7 to 15 % of what is left of 157 pixels of outline.
    assert all(mark.sum() >= 10 for mark in near) and all(inward[mark].min() >= 0 for mark in both)


def test_only_one_part_gets_a_curve_and_the_larger_one_mostly():
    label = np.zeros((60, 60, 1), np.uint8)
    label[5:35, 5:35] = label[50:54, 50:54] = 1
    found = [drawn("curve", label, seed)[..., 0] == 1 for seed in range(12)]
    hit = [(bool(mark[:40].any()), bool(mark[40:].any())) for mark in found]
    assert all(a != b for a, b in hit) and sum(a for a, _ in hit) >= 9


@pytest.mark.parametrize("name", STROKES)
def test_shorter_strokes_lie_in_longer_ones_in_half_the_box_each_time(name):
    strokes = drawn(name, heart("a", (64, 60, 5)))
    sizes, last = [], strokes
    for parts in (2, 4, 8, 16):
        cut = shortened(strokes, 2, parts)
        shown = cut != IGNORE
        assert np.array_equal(cut[shown], last[shown])
        for marks, known in zip(planes(cut), planes(strokes), strict=True):
            assert codes(marks) == codes(known)
        sizes.append(int(shown.sum()))
        last = cut
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.3 * (strokes != IGNORE).sum()


def test_a_stroke_is_halved_along_its_longer_side():
    strokes = np.full((20, 30, 1), IGNORE, np.uint8)
    strokes[5, 4:21] = 2
    assert np.argwhere(shortened(strokes, 2, 2)[..., 0] == 2).tolist() == [[5, j] for j in range(4, 13)]
    assert np.argwhere(shortened(strokes, 2, 16)[..., 0] == 2).tolist() == [[5, 4], [5, 5]]


def test_clicks_are_so_many_fewer_among_more_and_away_from_the_border():
    label = heart("a", (64, 60, 5))
    one, three = (drawn("clicks", label, k=float(k)) for k in (1, 3))
    for a, b, known in zip(planes(one), planes(three), planes(label), strict=True):
        for code in codes(known):
            assert ((a == code).sum(), (b == code).sum()) == (1, 3)
            assert (b == code)[a == code].all()
    whole = drawn("clicks", label, k=2.0, per_case=1.0)
    assert {code: int((whole == code).sum()) for code in (0, 1, 2, 3)} == {0: 2, 1: 2, 2: 2, 3: 2}


def test_boxes_hide_what_is_in_them_and_show_background_around():
    label = odd()
    shown = drawn("box", label)
    assert (shown[label > 0] == IGNORE).all() and codes(shown) == {0}
    assert (shown[..., 3] == IGNORE).sum() == 9 * 7 + 10 * 8
    assert (drawn("box", label, margin_mm=1.5)[..., 1] == IGNORE).sum() == 9


def test_every_nth_slice_is_dense_and_the_others_are_not_seen():
    label = heart("a", (32, 28, 12))
    for seed in range(6):
        shown = drawn("slices", label, seed, n=4.0)
        dense = [n for n, plane in enumerate(planes(shown)) if (plane != IGNORE).all()]
        assert len(dense) in (2, 3) and set(np.diff(dense)) == {4} and dense[0] >= 1
        assert all((plane == IGNORE).all() for n, plane in enumerate(planes(shown)) if n not in dense)
    assert np.array_equal(drawn("slices", label[..., 3:4]), label[..., 3:4])


def test_some_classes_are_seen_and_neither_the_others_nor_the_background():
    label = heart("a", (32, 28, 4))
    chosen = {tuple(codes(drawn("classes", label, seed))) for seed in range(20)}
    assert chosen == {(1,), (2,), (3,)}
    assert len(codes(drawn("classes", label, count=2.0))) == 2
    known = drawn("classes", label, background=1.0)
    assert (known[label == 0] == 0).all() and len(codes(known)) == 2
