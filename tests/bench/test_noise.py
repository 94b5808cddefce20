"""Annotators that err: outlines in mm, transforms, omissions, swaps, and PyMIC's noise for JSRT."""

import random

import numpy as np
import pytest
from scipy import ndimage
from test_simulators import NOISE, codes, drawn, odd, planes
from tiny import SPACING, heart

from bench.annotators.jsrt import disturbed
from converters.dataset import IGNORE

MILD = ("dilate", "erode", "edge", "affine", "elastic", "polygon", "missing", "jsrt")


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def large(shape=(120, 110, 5)):
    return heart("a", shape)


@pytest.mark.parametrize("name", NOISE)
def test_noise_is_dense_wrong_and_knows_no_new_code(name):
    label = large()
    noisy = drawn(name, label, 1)
    assert noisy.dtype == np.uint8 and IGNORE not in noisy
    assert codes(noisy) <= codes(label)
    assert 0 < (noisy != label).mean() < 0.4
    assert codes(drawn(name, odd(), 1)) <= codes(odd())


@pytest.mark.parametrize("name", MILD)
def test_more_severity_agrees_less(name):
    label = large()

    def agreement(severity):
        return np.mean([dice(drawn(name, label, seed, severity=severity) > 0, label > 0) for seed in range(4)])

    low, middle, high = (agreement(severity) for severity in (0.1, 0.5, 1.0))
    assert low > middle > high > 0.3


@pytest.mark.parametrize(("name", "grows"), [("dilate", True), ("erode", False)])
def test_one_who_draws_too_large_or_too_small_does_so_in_every_slice(name, grows):
    label = (large() == 3).astype(np.uint8)
    noisy = drawn(name, label)
    inner, outer = (label, noisy) if grows else (noisy, label)
    assert not ((inner == 1) & (outer == 0)).any()
    assert all((a.sum() < b.sum()) for a, b in zip(planes(inner), planes(outer), strict=True) if b.any())


def test_lengths_are_mm_whatever_the_voxels():
    """Twice the voxels of half the size are disturbed alike."""
    x, y = np.meshgrid(np.arange(120), np.arange(120), indexing="ij")
    coarse = (np.hypot(x - 60, y - 60) < 30).astype(np.uint8)[..., None]
    fine = coarse.repeat(2, axis=0).repeat(2, axis=1)
    for name in ("dilate", "erode", "affine", "polygon"):
        a = drawn(name, coarse, 2, (2.0, 2.0, 8.0))
        b = drawn(name, fine, 2, (1.0, 1.0, 8.0))
        assert dice(a.repeat(2, axis=0).repeat(2, axis=1) > 0, b > 0) > 0.97, name
    oblong = drawn("affine", coarse[:, ::2], 2, (1.0, 2.0, 8.0), shift_low=0, shift_high=0, scale_low=1, scale_high=1)
    assert dice(oblong > 0, coarse[:, ::2] > 0) > 0.96  # a disc in mm turns into itself


def test_a_misplacement_is_one_rigid_move_of_everything():
    label = large((160, 150, 4))
    noisy = drawn("affine", label, 1, degrees_low=0, degrees_high=0, scale_low=1, scale_high=1)
    found = [np.argwhere(noisy == code).mean(axis=0) - np.argwhere(label == code).mean(axis=0) for code in (1, 2, 3)]
    assert np.ptp(found, axis=0).max() < 0.2
    moved = np.hypot(*(np.mean(found, axis=0)[:2] * SPACING[:2]))
    assert 2 - 0.3 <= moved <= 8 + 0.3


def test_a_coarse_contour_has_few_corners_no_gap_and_stays_within_its_tolerance():
    label = large((160, 150, 4))
    noisy = drawn("polygon", label, 1, tolerance_low=4.0, tolerance_high=4.0)
    for shown, known in zip(planes(noisy), planes(label), strict=True):
        if known.any():
            far = ndimage.distance_transform_edt((known == 0) if (shown > 0).sum() > 0 else known, sampling=1.5)
            assert far[shown > 0].max() <= 4 + 1.5 * 1.5
            assert codes(shown) == codes(known)
    flat, before = noisy[..., 2] > 0, label[..., 2] > 0
    assert 0.85 < dice(flat, before) < 0.995
    # Between the disc and the wall around it there is no background.
    hole = ndimage.binary_fill_holes(noisy[..., 2] >= 2) & (noisy[..., 2] == 0)
    assert not hole.any()


def test_forgotten_parts_become_background_and_the_rest_stays():
    label = large()
    noisy = drawn("missing", label, 0)
    wrong = noisy != label
    assert (noisy[wrong] == 0).all()
    for shown, known in zip(planes(noisy), planes(label), strict=True):
        for code in codes(known) - {0}:
            for part in range(1, (numbered := ndimage.label(known == code, np.ones((3, 3)))[0]).max() + 1):
                kept = shown[numbered == part] == code
                assert kept.all() or not kept.any()
    assert (drawn("missing", label, 0, share=0.0) != label).any()  # at least one is


def test_a_swap_exchanges_two_names_in_neighbouring_slices():
    label = large((64, 60, 9))
    noisy = drawn("swap", label, 4)
    wrong = noisy != label
    first, second = sorted(set(label[wrong].tolist()))
    assert np.array_equal(noisy[wrong], np.where(label[wrong] == first, second, first))
    touched = np.flatnonzero(planes(wrong).any(axis=(1, 2)))
    assert set(np.diff(touched)) <= {1} and len(touched) >= 4
    assert np.array_equal(drawn("swap", (label == 1).astype(np.uint8)), (label == 1).astype(np.uint8))


# --- JSRT: the published rules written out, with the generator of `random` itself


def edge_discs(label, span):
    edge = ndimage.binary_dilation(label) & ~label
    rows, columns = np.where(edge)
    picked = random.sample(range(len(rows)), int(len(rows) * 0.1))
    marked = np.zeros_like(label)
    for row, column in [(rows[n], columns[n]) for n in picked]:
        radius = random.randint(*span)
        for i in range(label.shape[0]):
            for j in range(max(0, column - radius), min(label.shape[1], column + radius + 1)):
                marked[i, j] |= (i - row) ** 2 + (j - column) ** 2 < radius**2
    return marked


def published(label, span=(6, 12)):
    chance = random.random()
    if chance < 0.7:
        rounds = random.randint(*span)
        change = ndimage.binary_dilation if chance < 0.35 else ndimage.binary_erosion
        return change(label, iterations=rounds)
    more = label | edge_discs(label, span)
    return more & ~edge_discs(more, span)


def test_jsrt_noise_is_the_published_one_draw_for_draw_over_a_whole_list():
    x, y = np.meshgrid(np.arange(96), np.arange(90), indexing="ij")
    lungs = [(np.hypot((x - 50 - n) / 1.6, y - 25) < 18) | (np.hypot(x - 40, y - 70 + n) < 17 + n) for n in range(10)]
    lungs[3][:, :30] = True  # touches the border
    random.seed(2022)
    wanted = [published(lung) for lung in lungs]
    draw = random.Random(2022)
    found = [disturbed(lung, draw, (6, 12)) for lung in lungs]
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    kinds = {(bool((a & ~b).any()), bool((b & ~a).any())) for a, b in zip(found, lungs, strict=True)}
    assert kinds == {(True, False), (False, True), (True, True)}  # dilated, eroded, distorted


def test_jsrt_noise_has_one_kind_in_all_slices_and_follows_the_size_of_the_image():
    label = (large((128, 128, 5)) == 3).astype(np.uint8)
    for seed in range(8):
        noisy = drawn("jsrt", label, seed, across=128.0, radius_low=3.0, radius_high=3.0)
        ways = {
            (bool((a & ~b).any()), bool((b & ~a).any()))
            for a, b in zip(planes(noisy > 0), planes(label > 0), strict=True)
            if b.any()
        }
        assert len(ways) == 1
    # Seed 1 dilates.
    twice = drawn("jsrt", label.repeat(2, axis=0).repeat(2, axis=1), 1, across=128.0)
    assert dice(twice[::2, ::2] > 0, drawn("jsrt", label, 1, across=128.0) > 0) > 0.9
