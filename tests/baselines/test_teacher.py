"""The teacher: its equation, its names, and what it must survive: a move, a copy, compilation, hooks in a body."""

import copy
import functools

import pytest
import torch
from gates import make, spec
from torch.optim.swa_utils import get_ema_multi_avg_fn

from baselines.nets import maker
from baselines.ramps import between, ramp_up
from baselines.teacher import Teacher


def pair(**net):
    """A student that has moved away from its teacher, parameters and buffers, and the teacher."""
    fresh = maker(spec(**net))
    torch.manual_seed(0)
    student = fresh()
    teacher = Teacher(student, fresh())
    disturb(student)
    return student, teacher


def disturb(network):
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(torch.randn_like(value).abs() if value.is_floating_point() else 3)


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def expected(before, student, decay):
    """a <- d a + (1 - d) s, counters copied."""
    return {
        name: decay * value + (1 - decay) * student[name] if value.is_floating_point() else student[name]
        for name, value in before.items()
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("step", "decay"), [(0, 0.0), (1, 0.5), (9, 0.9), (98, 98 / 99), (99, 0.99), (5000, 0.99)])
def test_parameters_and_statistics_are_averaged_and_counters_copied(step, decay):
    student, teacher = pair()
    before = state(teacher)
    teacher.move(step, 0.99)
    assert_same(state(teacher), expected(before, student.state_dict(), decay))
    assert any("running_var" in name for name in before)


@torch.no_grad()
def test_its_own_forwards_move_no_statistic():
    student, teacher = pair()
    before = state(teacher)
    image = torch.randn(2, 1, 16, 16)
    normalised = teacher.train()(image)[0]
    assert not torch.equal(normalised, teacher.eval()(image)[0])  # in training, by the statistics of the batch
    after = {name: value for name, value in state(teacher).items() if value.is_floating_point()}
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    teacher.train().move(9, 0.9)
    assert_same(state(teacher), expected(before, student.state_dict(), 0.9))


def test_it_starts_as_the_student_and_learns_no_gradient():
    fresh = maker(spec())
    student = fresh()
    teacher = Teacher(student, fresh())
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in student.state_dict().items())
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(weight.requires_grad for weight in student.parameters())
    assert not {id(weight) for weight in teacher.parameters()} & {id(weight) for weight in student.parameters()}


def test_after_a_move_it_is_neither_zero_nor_the_student():
    student, teacher = pair()
    teacher.move(9, 0.99)
    for name, value in teacher.state_dict().items():
        if value.is_floating_point():
            assert value.abs().max() > 0, name
            assert not torch.equal(value, student.state_dict()[name]), name


def test_it_moves_by_the_bits_it_always_moved_by():
    """As mean teacher did it: two state dicts for each step."""
    student, teacher = pair()
    old = copy.deepcopy(teacher)
    for step in range(4):
        disturb(student)
        teacher.move(step, 0.99)
        pairs = [(value, student.state_dict()[name]) for name, value in old.state_dict().items()]
        averaged = [(value, new) for value, new in pairs if value.is_floating_point()]
        with torch.no_grad():
            get_ema_multi_avg_fn(min(1 - 1 / (step + 1), 0.99))(
                [value for value, _ in averaged], [new for _, new in averaged], None
            )
    for name, value in teacher.state_dict().items():
        assert not value.is_floating_point() or torch.equal(value, old.state_dict()[name])


def test_its_weights_keep_the_names_of_saved_models():
    names = make("mean_teacher").state_dict().keys()
    student = {name.removeprefix("net.") for name in names if name.startswith("net.")}
    assert {name.removeprefix("teacher.") for name in names if name.startswith("teacher.")} == student
    assert len(names) == 2 * len(student)


def test_it_follows_when_the_method_gets_tensors_of_another_kind():
    """A move to a device or another precision puts new tensors into the modules."""
    method = make("mean_teacher").double()
    disturb(method.net)
    before = state(method.teacher)
    method.after_step(9)
    assert_same(state(method.teacher), expected(before, method.net.state_dict(), 0.9))


def test_a_copy_of_a_method_has_a_teacher_of_its_own():
    method = make("mean_teacher")
    other = copy.deepcopy(method)
    disturb(other.net)
    before, still = state(other.teacher), state(method.teacher)
    other.after_step(9)
    assert_same(state(other.teacher), expected(before, other.net.state_dict(), 0.9))
    assert all(torch.equal(value, still[name]) for name, value in method.teacher.state_dict().items())


def test_it_follows_a_network_that_is_compiled_in_place(monkeypatch):
    plain, method = make("mean_teacher").eval(), make("mean_teacher").eval()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    monkeypatch.setattr(torch.nn.Module, "compile", functools.partialmethod(torch.nn.Module.compile, backend="eager"))
    for network in (method.net, method.teacher):
        network.compile_body()
    image = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        method.net(image)
        for one in (plain, method):
            torch.manual_seed(1)
            disturb(one.net)
            one.after_step(9)
        assert_same(state(method), state(plain))
        torch.testing.assert_close(method.teacher(image)[0], plain.teacher(image)[0])


def test_its_scales_are_its_own_where_a_body_keeps_what_hooks_saw():
    """A deep copy's hooks would write into the lists of the network that was copied."""
    torch.manual_seed(0)
    fresh = maker(spec(arch="Unet", encoder="resnet18"))
    student = fresh(scales=3)
    teacher = Teacher(student, fresh(scales=3)).eval()
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        first = teacher(image)
        student(torch.randn(2, 1, 32, 32))
        again = teacher(image)
    assert len(first) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_ramps_rise_from_where_they_start_to_where_they_end():
    assert [between(at, 0.2, 0.6) for at in (0.0, 0.2, 0.6, 1.0)] == [0, 0, 1, 1]
    assert between(0.3, 0.2, 0.6) == pytest.approx(0.25)
    assert ramp_up(0.0) == pytest.approx(0.0067, abs=1e-4)  # exp(-5)
    assert ramp_up(0.5) == pytest.approx(0.2865, abs=1e-4)  # exp(-5 / 4)
    assert ramp_up(1.0) == ramp_up(1.5) == 1
    assert ramp_up(0.19, 0.2, 0.6) == 0
    assert ramp_up(0.2, 0.2, 0.6) == pytest.approx(ramp_up(0.0))
    assert ramp_up(0.4, 0.2, 0.6) == pytest.approx(ramp_up(0.5))
    assert ramp_up(0.6, 0.2, 0.6) == 1
