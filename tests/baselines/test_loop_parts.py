"""A batch in parts: the gradients of the whole, and what memory refuses is tried again and leaves no trace."""

import os
import signal

import msgspec
import pytest
import torch
from views import weights

from baselines.model import load_model
from baselines.train import Setting, train
from converters.errors import BenchError

CPU = torch.device("cpu")

# Takes a part of at most LIMIT samples once FROM of the training is over, and fails as torch does: half-way.
HUNGRY = """
import torch
from baselines.methods.supervised import Supervised
class Hungry(Supervised):
    def forward(self, batch, progress):
        terms = super().forward(batch, progress)
        if len(batch.image) > {limit} and progress >= {start}:
            raise {error}
        return terms
"""
CUDA_ERROR = "torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ...')"
WRAPPED_ERROR = "RuntimeError('backend inductor raised: CUDA out of memory. Tried to allocate 2.00 GiB')"
HOST_ERROR = 'RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate 88 bytes")'

# No batch norm, no dropout, and a loss that is a mean over samples: what parts must not change.
PLAIN = """
import torch
from baselines.method import Method
from baselines.nets import Network
class Plain(Method):
    def __init__(self, make):
        super().__init__(make)
        body = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(4, 4, 1))
        self.net = Network(body, (1, 1), "fp32", False)
    def forward(self, batch, progress):
        return {"fit": torch.square(self.logits(batch.image) - batch.image).mean(), "size": 0.1 * body(self).mean()}
def body(method):
    return method.net.body[0].weight.abs()
"""


def hungry(folder, limit, start=0.0, error=CUDA_ERROR):
    """The plugin that does not fit."""
    (folder / "hungry.py").write_text(HUNGRY.format(limit=limit, start=start, error=error))
    return Setting(plugin=folder / "hungry.py")


def test_parts_make_the_gradients_of_the_whole_batch(partly, small, tmp_path):
    plugin = tmp_path / "plain.py"
    plugin.write_text(PLAIN)
    config = small(method="plain", steps=1, batch=8, lr=1.0, momentum=0.0, weight_decay=0.0, net=small().net)
    found = {}
    for parts in (1, 4):
        out = tmp_path / str(parts)
        trained = train(partly, msgspec.structs.replace(config, accumulate=parts), out, Setting(plugin=plugin))
        assert trained.cost.parts == parts
        found[parts] = (
            load_model(out, CPU, plugin)[0].state_dict(),
            msgspec.json.decode((out / "log.jsonl").read_bytes()),
        )
    assert found[1][1] == pytest.approx(found[4][1], abs=1e-6)
    for name, value in found[1][0].items():
        torch.testing.assert_close(found[4][0][name], value, rtol=0, atol=1e-6)


def test_one_part_is_what_it_always_was(partly, small, tmp_path):
    for name, accumulate in (("whole", 1), ("auto", "auto")):
        train(partly, small(accumulate=accumulate), tmp_path / name, Setting())
    assert weights(tmp_path / "auto") == weights(tmp_path / "whole")
    assert (tmp_path / "auto" / "log.jsonl").read_bytes() == (tmp_path / "whole" / "log.jsonl").read_bytes()


@pytest.mark.fault(65)
@pytest.mark.parametrize(("error", "batch"), [(CUDA_ERROR, 4), (WRAPPED_ERROR, 4), (HOST_ERROR, 6)])
def test_a_batch_that_does_not_fit_is_taken_in_parts_as_if_it_had_been_from_the_start(
    error, batch, partly, small, tmp_path
):
    fixed, auto = (small(method="hungry", batch=batch, accumulate=n) for n in (batch, "auto"))
    setting = hungry(tmp_path, limit=1, error=error)
    train(partly, fixed, tmp_path / "fixed", setting)
    assert train(partly, auto, tmp_path / "auto", setting).cost.parts == batch
    assert weights(tmp_path / "auto") == weights(tmp_path / "fixed")


def test_a_resumed_training_goes_on_in_the_parts_it_had_come_to(partly, small, tmp_path):
    config = small(method="hungry", accumulate="auto", steps=8, checkpoint_every=8)
    setting = hungry(tmp_path, limit=2, start=0.25)
    train(partly, config, tmp_path / "whole", setting)

    def interrupt(done: int, steps: int) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(partly, config, tmp_path / "cut", Setting(plugin=setting.plugin, progress=interrupt))
    hungry(tmp_path, limit=4)  # memory would do now: the parts stay
    assert train(partly, config, tmp_path / "cut", setting).cost.parts == 2
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


@pytest.mark.fault(65, 66)
@pytest.mark.parametrize(
    ("accumulate", "mend"), [(1, "--auto-batch"), (2, "--auto-batch"), ("auto", "lower train.batch")]
)
def test_a_batch_that_never_fits_is_an_error_that_says_what_takes_less(accumulate, mend, partly, small, tmp_path):
    with pytest.raises(BenchError, match="batch of 4 samples") as caught:
        train(partly, small(method="hungry", accumulate=accumulate), tmp_path, hungry(tmp_path, limit=0))
    assert caught.value.mend.startswith(mend)
    assert "20.00 GiB more asked for" in caught.value.where
    assert not (tmp_path / "model.safetensors").exists()


def test_another_fault_is_not_taken_for_a_lack_of_memory(partly, small, tmp_path):
    setting = hungry(tmp_path, limit=0, error="RuntimeError('shapes differ')")
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(partly, small(method="hungry", accumulate="auto"), tmp_path, setting)


def test_parts_that_would_mix_otherwise_than_the_batch_are_refused(partly, small, tmp_path):
    with pytest.raises(BenchError, match="each share of a batch: 2, 2 samples"):
        train(partly, small(method="mean_teacher", accumulate=4), tmp_path, Setting())
