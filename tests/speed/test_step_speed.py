"""Training steps a second beside the peers, two threads, and what each takes of memory: `make speed`."""

import pytest
import steppers
import torch
from limits import HILAB, STEP
from memory import peak_mib
from steppers import BATCH, MEASURED, NETS, STEPPERS, THREADS


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def _races():
    for net in NETS:
        for contender in STEPPERS:
            if net == HILAB or contender in MEASURED:
                yield net, contender


@pytest.mark.parametrize(("net", "contender"), list(_races()))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_speed_of_a_training_step(benchmark, enter, two_threads, net, contender):
    make, does = STEPPERS[contender]
    enter(STEP.format(net), contender, does, BATCH, "images")
    step = make(net)
    trains = contender in MEASURED
    losses = []
    benchmark.pedantic(lambda: losses.append(next(step)), rounds=5 if trains else 50, warmup_rounds=2)
    step.close()
    assert len(losses) == (7 if trains else 52)
    if trains:
        benchmark.extra_info["peak_mib"] = peak_mib(steppers.__file__, contender, net)


def test_contenders_train_the_same_network():
    for net in NETS:
        learner = steppers.method_of(steppers.config(net)).net.body.state_dict()
        body = steppers.body_of(net)
        assert all(torch.equal(learner[name], value) for name, value in body.state_dict().items())
        assert all(value.is_contiguous() and value.dtype == torch.float32 for value in body.parameters())
