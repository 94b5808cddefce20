"""Samples a second from disk to a batch in memory, beside the peers: `make speed`, with the extra [peers].

Eight made-up volumes of 256 x 256 x 150; what each peer prepares once (decoding, packing) is not timed.
"""

import pytest
from feeders import FEEDERS, write
from limits import FEED, SLICES, VOLUMES

# Patch, batch, batches a round: whole refills of TorchIO's queue of 64.
KINDS = {VOLUMES: ((96, 96, 96), 2, 64), SLICES: ((1, 256, 256), 12, 48)}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("volumes")
    write(folder, 8)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("peer", FEEDERS)
def test_speed_of_feeding(benchmark, enter, volumes, kind, peer):
    patch, batch, batches = KINDS[kind]
    make, does = FEEDERS[peer]
    enter(FEED.format(kind), peer, does, batch * batches, "samples")
    with make(volumes, patch, batch) as stream:
        for _ in range(5):
            next(stream)  # workers and caches are up

        def feed():
            for _ in range(batches):
                image, label = next(stream)
            return image, label

        image, label = benchmark.pedantic(feed, rounds=3)
        shape = [edge for edge in patch if edge != 1]
        assert sorted(size for size in image.shape if size not in (1, batch)) == sorted(shape)
        assert image.shape[0] == label.shape[0] == batch
