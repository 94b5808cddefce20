"""Datasets of torch: what the sampler gives, whoever reads it."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from baselines.cache import prepare
from baselines.sampler import Sampler
from baselines.torch_dataset import Cases, Patches
from converters.dataset import IGNORE


@pytest.mark.parametrize(
    ("patch", "grid"), [((16, 16), "resize"), ((12, 12), (1.5, 1.5)), ((8, 16, 16), (8.0, 1.5, 1.5))]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_does_not_shuffle_gives_the_batches_of_the_sampler(patch, grid, workers, partly, small):
    config = small(patch=patch, grid=grid, steps=3)
    composition = {"labelled": 1, "unlabelled": 1}
    patches = Patches(partly, config, seed=5, composition=composition)
    sampler = Sampler(prepare(partly, config), config, composition, 5)
    batches = list(DataLoader(patches, batch_size=config.batch, num_workers=workers))
    assert len(batches) == 3 and len(patches) == 12
    for step, batch in enumerate(batches):
        expected = sampler(step)
        assert torch.equal(batch["image"], torch.from_numpy(expected.image.astype(np.float32)))
        assert torch.equal(batch["target"], torch.from_numpy(expected.target.astype(np.int64)))
        assert batch["case"] == [partly.cases[number].id for number in expected.case]
        assert batch["slice"].tolist() == expected.slice.tolist()
    assert IGNORE in batches[0]["target"] and batches[0]["image"].shape[2:] == patch


def test_items_do_not_depend_on_the_order_in_which_they_are_asked_for(whole, small):
    patches = Patches(whole, small(steps=3))
    there = [patches[index]["image"] for index in range(len(patches))]
    again = pickle.loads(pickle.dumps(patches))
    for index in (11, 0, 7, 4, 3):
        assert torch.equal(again[index]["image"], there[index])
    with pytest.raises(IndexError):
        patches[12]


def test_cases_are_whole_and_lie_on_the_grid_of_the_network(whole, small):
    cases = Cases(whole, small(grid=(3.0, 3.0)))
    assert len(cases) == len(whole.cases)
    item = cases[0]
    assert item["image"].shape == (1, 4, 16, 14) and item["image"].dtype == torch.float32
    assert item["target"].shape == (4, 16, 14) and set(item["target"].unique().tolist()) <= {0, 1, 2, 3}
