"""Augmented 256 x 256 slices a second, image and label, beside the peers: `make speed`. One thread each."""

import numpy as np
import pytest
import torch
from augmenters import AUGMENTERS
from limits import AUGMENT

BATCH = 16


@pytest.fixture(scope="module")
def slices():
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(0.5, 0.15, (BATCH, 256, 256)), 0, 1).astype(np.float32)
    labels = np.zeros((BATCH, 256, 256), np.uint8)
    labels[:, 80:180, 90:200] = 1
    return images, labels


@pytest.mark.parametrize("peer", AUGMENTERS)
def test_speed_of_augmenting(benchmark, enter, slices, peer):
    make, does = AUGMENTERS[peer]
    enter(AUGMENT, peer, does, BATCH, "images")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = make()
        images, labels = benchmark.pedantic(run, args=slices, rounds=7, warmup_rounds=2)
    finally:
        torch.set_num_threads(threads)
    assert len(images) == len(labels) == BATCH
    for image, label in zip(images, labels, strict=True):
        assert not np.allclose(np.asarray(image).squeeze(), slices[0][0])
        assert np.asarray(label).squeeze().shape == (256, 256) and (np.asarray(label) == 1).any()
