"""Training steps a second beside the peers, two threads, and what each takes of memory: `make speed`."""

from functools import partial

import pytest
import steppers
import torch
from limits import HILAB, STEP
from memory import peak_mib
from rotation import Turns
from steppers import BATCH, MEASURED, NETS, STEPPERS, THREADS

TURNS = 7


@pytest.fixture(scope="module")
def turns():
    """By network: the contenders that train, step by step in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    found = {}

    def of(net):
        if net not in found:
            makers = {name: partial(_step, STEPPERS[name][0], net) for name in MEASURED}
            found[net] = Turns(makers, TURNS, warmup=2)
        return found[net]

    yield of
    torch.set_num_threads(threads)


def _step(make, net):
    return partial(next, make(net))


@pytest.mark.parametrize("contender", MEASURED)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_speed_of_a_training_step(benchmark, enter, turns, net, contender):
    enter(STEP.format(net), contender, STEPPERS[contender][1], BATCH, "images")
    turns(net).enter(benchmark, contender)
    benchmark.extra_info["peak_mib"] = peak_mib(steppers.__file__, contender, net)


@pytest.mark.parametrize("contender", [name for name in STEPPERS if name not in MEASURED])
def test_speed_of_what_a_step_is_fed_with(benchmark, enter, contender):
    make, does = STEPPERS[contender]
    enter(STEP.format(HILAB), contender, does, BATCH, "images")
    made = benchmark.pedantic(_step(make, HILAB), rounds=50, warmup_rounds=2)
    assert len(made.image) == BATCH


def test_contenders_train_the_same_network():
    for net in NETS:
        learner = steppers.method_of(steppers.config(net)).net.body.state_dict()
        body = steppers.body_of(net)
        assert all(torch.equal(learner[name], value) for name, value in body.state_dict().items())
        assert all(value.is_contiguous() and value.dtype == torch.float32 for value in body.parameters())
