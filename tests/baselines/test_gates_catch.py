"""The gates catch what public codes really do: a dead teacher, a term that is always 0, unlabelled images not used."""

import gates
import pytest
import torch
from courses import course, lifeless
from gates import learn, make, rows
from torch._subclasses.fake_tensor import DataDependentOutputException

from baselines import method as contract
from baselines.losses import mean_squared, supervision

MeanTeacher = contract.find("mean_teacher")
Supervised = contract.find("supervised")


class Dead(MeanTeacher):
    """PyMIC's update (ssl_mt.py, ssl_uamt.py, wsl_ustm.py): `add` where `add_` was meant, and alpha 0 at first."""

    @torch.no_grad()
    def after_step(self, step):
        alpha = min(1 - 1 / (step + 1), self.decay)
        for ema, weight in zip(self.teacher.parameters(), self.net.parameters(), strict=True):
            ema.data.mul_(alpha).add(weight.data, alpha=1 - alpha)


class Still(MeanTeacher):
    """A teacher that nobody moves."""

    def after_step(self, step):
        pass


class Copy(MeanTeacher):
    """A teacher that is its student."""

    def after_step(self, step):
        self.teacher.load_state_dict(self.net.state_dict())


class Taught(MeanTeacher):
    """A teacher whose weights are said to learn."""

    def __init__(self, make):
        super().__init__(make)
        self.teacher.requires_grad_(True)


class Zero(MeanTeacher):
    """USB's mean teacher (meanteacher.py): the strong view's logits are the weak one's, taken without gradient."""

    def forward(self, batch, progress):
        with torch.no_grad():
            own = self.logits(batch.image).softmax(1)
        return {**supervision(self.logits(batch.image), batch.target), "consistency": mean_squared(own, own)}


class Flat(Supervised):
    """Terms with a gradient, which is 0: weight decay alone would move its weights."""

    def forward(self, batch, progress):
        return {"ce": 0 * self.logits(batch.image).sum()}


class Reads(Supervised):
    """Waits for a GPU."""

    def forward(self, batch, progress):
        return {name: value for name, value in super().forward(batch, progress).items() if value.item() > 0}


class Left(Supervised):
    """Makes a tensor on the host."""

    def forward(self, batch, progress):
        return {name: (value * torch.ones(3)).mean() for name, value in super().forward(batch, progress).items()}


class Counts(Supervised):
    """Remembers in Python what a buffer should."""

    seen = 0

    def forward(self, batch, progress):
        self.seen += 1
        terms = super().forward(batch, progress)
        return {**terms, "ce": terms["ce"] * self.seen}


@pytest.mark.parametrize(
    ("cls", "fault"), [(Dead, "teacher is zero"), (Still, "teacher never moves"), (Copy, "teacher is student")]
)
def test_a_teacher_that_does_not_live_is_noticed(cls, fault):
    assert fault in lifeless(course(make(cls), 10))
    assert lifeless(course(make(MeanTeacher), 10)) == []


def test_a_teacher_that_nothing_teaches_but_might_be_is_noticed():
    found = course(make(Taught), 3)
    assert found.untaught
    assert all(name.startswith("teacher.") for name in found.untaught)


def test_a_term_that_is_always_zero_is_noticed():
    found = course(make(Zero), 10)
    assert found.alive == {"train/ce": True, "train/dice": True, "train/consistency": False}


@pytest.mark.parametrize("how", [{"ndim": 3}, {"arch": "Unet", "encoder": "resnet18"}])
def test_a_gradient_of_zeros_is_noticed_in_volumes_and_in_a_network_of_smp(how):
    found = course(make(Flat, **how), 2, ndim=how.get("ndim", 2), least=2)
    assert found.alive == {"train/ce": False}
    assert found.untaught


def test_images_that_only_move_the_norm_are_not_taken_for_images_that_teach():
    """In one pass they change the weights of supervised learning too: so the gate asks for a pass of their own."""
    seen = gates.batch()
    shown = rows(seen, slice(0, 2))
    together, alone = (learn(make("supervised"), one) for one in (seen, shown))
    assert any(not torch.equal(together[name], value) for name, value in alone.items())
    method = make("mean_teacher", {"weight": 0.0})
    method.apart = True
    apart = learn(method, seen)
    assert all(torch.equal(apart[name], value) for name, value in alone.items())


@pytest.mark.parametrize(("cls", "error"), [(Reads, DataDependentOutputException), (Left, RuntimeError)])
def test_what_would_wait_for_a_gpu_or_fail_there_is_noticed(cls, error):
    method = make(cls).train()
    with gates.gpu_without_values(method, gates.batch()) as batches, pytest.raises(error):
        method(batches[0], 0.5)


def test_a_state_that_no_buffer_holds_is_noticed():
    assert gates.changed_by_forward(make(Counts), gates.batch()) == {"ce"}
    assert gates.changed_by_forward(make(Supervised), gates.batch()) == set()
