import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tiny import SPACING, heart

from bench import protocols
from bench.annotator import Given, find
from converters.dataset import IGNORE
from converters.errors import BenchError
from converters.volume import read_label

boundary, dense, expert, scribble = map(find, ("boundary", "dense", "expert", "scribble"))
OPTIONS = {protocol.annotator: protocol.options for protocol in protocols.PROTOCOLS}
STROKES, NOISE = OPTIONS["expert-else-scribble"], OPTIONS["boundary"]


def drawn(annotator, label, seed=0, spacing=SPACING, axis=2, expert=None):
    options = NOISE if annotator is boundary else STROKES
    return annotator(Given(label, expert, spacing, axis, np.random.default_rng(seed), options))


def blobs(seed, shape=(40, 36, 3)):
    """Four smooth structures of any shape and neighbourhood, thin ones and islands among them."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(5, *shape)), (0, 3, 3, 0.5))
    fields[0] += 0.5 * fields.std()
    return np.argmax(fields, axis=0).astype(np.uint8)


def slices(label, axis=2):
    return np.moveaxis(label, axis, 0)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


SEEDS = st.integers(0, 10_000)


@given(SEEDS, SEEDS, st.sampled_from([0, 1, 2]))
@settings(max_examples=25, deadline=None)
def test_scribbles_lie_inside_their_structure_and_every_structure_of_a_slice_has_one(anatomy, seed, axis):
    label = np.moveaxis(blobs(anatomy), 2, axis)
    spacing = tuple(np.roll((1.2, 1.5, 6.0), axis + 1))
    strokes = drawn(scribble, label, seed, spacing, axis)
    annotated = strokes != IGNORE
    assert strokes.dtype == np.uint8
    assert strokes.shape == label.shape
    assert np.array_equal(strokes[annotated], label[annotated])
    for shown, known in zip(slices(strokes, axis), slices(label, axis), strict=True):
        assert set(np.unique(shown)) - {IGNORE} == set(np.unique(known))


@given(SEEDS, SEEDS)
@settings(max_examples=25, deadline=None)
def test_no_structure_vanishes_from_any_slice_under_noise(anatomy, seed):
    label = blobs(anatomy)
    noisy = drawn(boundary, label, seed, (1.2, 1.5, 6.0))
    for shown, known in zip(slices(noisy), slices(label), strict=True):
        assert set(np.unique(known)) - {0} == set(np.unique(shown)) - {0}


def test_every_slice_of_a_heart_has_background_and_foreground_strokes():
    label = heart("a", (64, 60, 5))
    strokes = drawn(scribble, label)
    assert all(0 in np.unique(plane) for plane in slices(strokes))
    assert 0.005 < (strokes != IGNORE).mean() < 0.12
    for code in (1, 2, 3):
        assert 0.01 < (strokes == code).sum() / (label == code).sum() < 0.5


def test_a_thin_ring_and_a_disc_both_get_a_curve():
    x, y = np.meshgrid(np.arange(80), np.arange(80), indexing="ij")
    distance = np.hypot(x - 40, y - 40)
    label = np.select([distance < 20, distance < 25], [1, 2], 0).astype(np.uint8)[..., None]
    strokes = drawn(scribble, label, spacing=(1.5, 1.5, 8.0))
    assert (strokes == 2).sum() > 100  # of about 140 along the middle of the ring
    assert (strokes == 1).sum() > 20  # a disc has a skeleton of one pixel; a loop is drawn in it


def test_a_slice_without_structures_gets_background_where_other_slices_have_them():
    label = heart("a", (64, 60, 5))
    empty = drawn(scribble, label)[..., 0]
    assert not label[..., 0].any()
    assert (empty == 0).any()
    assert (label > 0).any(axis=2)[empty == 0].all()


@pytest.mark.parametrize("annotator", [scribble, boundary])
def test_the_same_generator_gives_the_same_label_map_and_another_another(annotator):
    label = heart("a", (48, 44, 4))
    before = label.copy()
    assert np.array_equal(drawn(annotator, label, 3), drawn(annotator, label, 3))
    assert not np.array_equal(drawn(annotator, label, 3), drawn(annotator, label, 4))
    assert np.array_equal(label, before)


@pytest.mark.parametrize("annotator", [scribble, boundary])
def test_the_slice_axis_may_be_any(annotator):
    label = heart("a", (48, 44, 4))
    turned = drawn(annotator, np.moveaxis(label, 2, 0), axis=0, spacing=(8.0, 1.5, 1.5))
    assert np.array_equal(np.moveaxis(turned, 0, 2), drawn(annotator, label, spacing=(1.5, 1.5, 8.0)))


@pytest.mark.parametrize("annotator", [scribble, boundary])
def test_what_the_reference_leaves_out_stays_out(annotator):
    label = heart("a", (48, 44, 4))
    label[:24] = IGNORE
    assert (drawn(annotator, label)[:24] == IGNORE).all()


@pytest.mark.parametrize("annotator", [scribble, boundary])
def test_a_slice_full_of_one_structure_is_no_trouble(annotator):
    full = np.full((20, 20, 1), 2, np.uint8)
    assert set(np.unique(drawn(annotator, full))) <= {2, IGNORE}


def test_an_empty_label_map_has_nothing_to_get_wrong():
    empty = np.zeros((20, 20, 2), np.uint8)
    assert not drawn(boundary, empty).any()
    assert set(np.unique(drawn(scribble, empty))) == {0, IGNORE}


def test_noise_is_dense_and_moves_outlines_within_its_radius():
    label = heart("a", (64, 60, 5))
    noisy = drawn(boundary, label, 1)
    assert IGNORE not in noisy
    assert not np.array_equal(noisy, label)
    for shown, known in zip(slices(noisy > 0), slices(label > 0), strict=True):
        if known.any():
            outside = ndimage.distance_transform_edt(~known, sampling=SPACING[:2])
            assert outside[shown].max() <= NOISE["radius_high"] + 1.5


@pytest.mark.parametrize(("kind", "grows"), [("dilate", True), ("erode", False)])
def test_noise_of_one_kind_goes_one_way_in_every_slice(kind, grows):
    label = (heart("a", (64, 60, 5)) == 3).astype(np.uint8)
    options = {**NOISE, "dilate": 0.0, "erode": 0.0, kind: 1.0}
    noisy = boundary(Given(label, None, SPACING, 2, np.random.default_rng(0), options))
    inner, outer = (label, noisy) if grows else (noisy, label)
    assert not ((inner == 1) & (outer == 0)).any()
    sizes = [(int(a.sum()), int(b.sum())) for a, b in zip(slices(inner), slices(outer), strict=True) if b.any()]
    assert all(a < b for a, b in sizes)


def test_noise_does_not_depend_on_the_room_around():
    label = heart("a", (64, 60, 4))
    near, far = (drawn(boundary, np.pad(label, ((n, n), (n, n), (0, 0)))) for n in (10, 25))
    assert np.array_equal(far[15:-15, 15:-15], near)


def test_the_dense_annotator_gives_the_reference_and_the_expert_his_strokes():
    label = heart("a", (20, 20, 2))
    strokes = np.where(label == 3, label, np.uint8(IGNORE))
    assert np.array_equal(drawn(dense, label), label)
    assert np.array_equal(drawn(expert, label, expert=strokes), strokes)
    with pytest.raises(BenchError, match="no expert annotation"):
        drawn(expert, label)


def test_on_real_hearts_noise_and_scribbles_are_like_those_of_people(shared_data):
    agreement, annotated = [], []
    folder = shared_data / "acdc" / "database" / "training"
    for seed, stem in enumerate(
        ("patient001_frame01", "patient001_frame12", "patient038_frame01", "patient099_frame09")
    ):
        volume = read_label(folder / stem[:10] / f"{stem}_gt.nii.gz")
        noisy = drawn(boundary, volume.array, seed, volume.spacing)
        agreement.append(np.mean([dice(noisy == code, volume.array == code) for code in (1, 2, 3)]))
        annotated.append((drawn(scribble, volume.array, seed, volume.spacing) != IGNORE).mean())
    assert all(0.6 < value < 0.95 for value in agreement), agreement
    assert 0.7 < np.mean(agreement) < 0.88, agreement
    assert all(0.004 < value < 0.03 for value in annotated), annotated  # the experts': 0.011 over all
