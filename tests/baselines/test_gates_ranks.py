"""Two ranks that share a batch learn what one process learns from all of it.

Group norm, no dropout: no sample has a part in the features of another. That holds for losses that are means over
samples. Soft Dice over the batch and means over annotated voxels are none where ranks hold different samples, as sums
would have to be taken over ranks; there, both ranks are given the same samples, for which it holds.
"""

import json

import pytest
import ranks
import torch.multiprocessing

from baselines import method as contract

NAMES = contract.names()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What both ranks found, for all methods: two processes that start take longer than all comparisons."""
    folder = tmp_path_factory.mktemp("ranks")
    allowed = [name for name in NAMES if not contract.find(name).one_rank]
    torch.multiprocessing.spawn(ranks.compare, (allowed, str(folder)), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_learn_what_one_process_learns(name, measured):
    if reason := contract.find(name).one_rank:
        pytest.skip(f"several ranks are refused: {reason}")
    for found in measured:
        assert "error" not in found[name], found[name]["error"]
        assert found[name]["copies"] <= ranks.CLOSE
        assert max(found[name].values()) <= ranks.CLOSE, found[name]


def test_the_strictest_comparison_is_made_of_a_loss_that_is_a_mean(measured):
    assert "halves" in measured[0]["gce"]
    assert "halves" not in measured[0]["supervised"]
    assert "doubled" in measured[0]["supervised"]
    assert "doubled" not in measured[0]["mean_teacher"]
