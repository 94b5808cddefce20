"""Largest components: what scipy finds, whatever the shape, without reading a value."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from baselines.largest import largest_components


def by_scipy(labels, classes):
    found = np.zeros_like(labels)
    for sample, out in zip(labels, found, strict=True):
        for code in range(1, classes):
            parts, number = ndimage.label(sample == code, np.ones((3,) * sample.ndim))
            if number:
                out[parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])] = code
    return found


def blobs(shape, seed, classes=4, smooth=2.0):
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=shape), smooth) for _ in range(classes)]
    return np.argmax(fields, 0)


def serpentine(edge):
    path = np.zeros((edge, edge), int)
    path[::2] = 1
    for row in range(1, edge - 1, 2):
        path[row, -1 if row % 4 == 1 else 0] = 1
    return path


def spiral(edge):
    path, (row, column), (down, right) = np.zeros((edge, edge), int), (0, -1), (0, 1)
    length, turns = edge, 0
    while length > 0:
        for _ in range(length):
            row, column = row + down, column + right
            path[row, column] = 1
        down, right, turns = right, -down, turns + 1
        length = edge - 1 - 2 * ((turns - 1) // 2) if turns > 1 else edge - 1
    return path


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(3, 40, 48), (2, 8, 20, 24)])
def test_blobs_of_several_classes_keep_what_scipy_finds_largest(shape, seed):
    labels = np.stack([blobs(shape[1:], [seed, n]) for n in range(shape[0])])
    found = largest_components(torch.from_numpy(labels), 4)
    np.testing.assert_array_equal(found.numpy(), by_scipy(labels, 4))


@pytest.mark.parametrize("share", [0.2, 0.35, 0.41, 0.5, 0.7])
def test_scattered_voxels_and_ties_keep_what_scipy_finds_largest(share):
    labels = (np.random.default_rng(0).random((4, 32, 32)) < share).astype(np.int64)
    found = largest_components(torch.from_numpy(labels), 3)
    np.testing.assert_array_equal(found.numpy(), by_scipy(labels, 3))


@pytest.mark.parametrize("edge", [8, 33, 64, 128])
@pytest.mark.parametrize("shape", [serpentine, spiral])
def test_a_winding_path_stays_whole(shape, edge):
    path = shape(edge)
    assert ndimage.label(path, np.ones((3, 3)))[1] == 1
    for turned in (path, path.T, path[::-1], path[:, ::-1]):
        labels = torch.from_numpy(turned.copy())[None]
        assert torch.equal(largest_components(labels, 2), labels)


def test_half_of_the_rounds_do_for_a_disc_and_a_ring_at_full_size():
    far = np.hypot(*np.mgrid[-128:128, -128:128])
    labels = torch.from_numpy(np.select([far < 60, far < 90], [1, 2], 0))[None]
    assert torch.equal(largest_components(labels, 3, rounds=9), labels)


def test_an_absent_class_and_an_empty_sample_stay_as_they_are():
    labels = torch.zeros(2, 9, 9, dtype=torch.int64)
    labels[0, 2:5, 2:5] = 3
    labels[0, 8, 8] = 3
    found = largest_components(labels, 4)
    assert found[0].sum() == 3 * 9
    assert found[1].sum() == 0
    assert labels[0, 8, 8] == 3  # what came in is left alone
