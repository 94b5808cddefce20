"""Every method, one set of tests: each term does something, no teacher learns, one case can be learnt."""

import dataclasses

import numpy as np
import pytest
import torch

from baselines import method as contract
from baselines.batch import Batch
from baselines.config import NetConfig, NetSpec
from baselines.nets import maker
from converters.dataset import IGNORE
from converters.errors import BenchError, UsageError

METHODS = contract.names()
SPEC = NetSpec(
    config=NetConfig(widths=(8, 16), dropout=(0.0, 0.0)),
    in_channels=1,
    classes=3,
    patch=(16, 16),
    spacing=(1.0, 1.0),
    precision="fp32",
    channels_last=False,
)


def make(name, options=None, ndim=2):
    torch.manual_seed(0)
    spec = SPEC if ndim == 2 else NetSpec(**{**as_dict(SPEC), "patch": (8, 16, 16), "spacing": (1.0,) * 3})
    return contract.build(contract.find(name), maker(spec), options or {})


def as_dict(struct):
    return {field: getattr(struct, field) for field in struct.__struct_fields__}


def batch(ndim=2, unannotated=2):
    size = (16, 16) if ndim == 2 else (8, 16, 16)
    rng = np.random.default_rng(0)
    target = torch.zeros(4, *size, dtype=torch.long)
    target[..., 4:10, 4:10] = 1
    target[..., 10:14, 2:8] = 2
    image = target[:, None].float() + torch.from_numpy(rng.normal(0, 0.1, (4, 1, *size))).float()
    target[4 - unannotated :] = IGNORE
    seen = [n < 4 - unannotated for n in range(4)]
    return Batch(
        image=image,
        target=target,
        case=torch.arange(4),
        slice=torch.zeros(4, dtype=torch.long),
        grid=torch.eye(2, 3).repeat(4, 1, 1),
        trusted=torch.tensor(seen),
        annotated=tuple(seen),
    )


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_every_term_is_finite_and_reaches_a_weight(name, ndim):
    method = make(name, ndim=ndim)
    for parameter in method.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)  # away from a state in which two networks agree
    terms = method(batch(ndim), 0.5)
    assert terms
    for term, value in terms.items():
        assert torch.isfinite(value), term
        learning = [p for p in method.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(value, learning, retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().max() > 0 for g in gradients), f"{term} teaches nothing"


@pytest.mark.parametrize("name", METHODS)
def test_one_case_can_be_learnt(name):
    method = make(name)
    method.train()
    optimizer = torch.optim.Adam(method.parameter_groups(), 0.01)
    seen = batch()
    for step in range(60):
        optimizer.zero_grad()
        sum(method(seen, step / 60).values()).backward()
        optimizer.step()
        method.after_step(step)
    method.eval()
    labelled = seen.rows(annotated=True)
    predicted = method.logits(seen.image).argmax(1)[labelled]
    assert (predicted == seen.target[labelled]).float().mean() > 0.98


@pytest.mark.parametrize("name", METHODS)
def test_nothing_annotated_is_refused_with_a_reason(name):
    assert "nothing is annotated" in contract.find(name).refuses(2, 0, 5)
    assert contract.find(name).refuses(2, 1, 0) is None


def test_the_teacher_is_neither_zero_nor_the_student_and_learns_no_gradient():
    method = make("mean_teacher")
    method.train()
    optimizer = torch.optim.SGD(method.parameter_groups(), 0.1)
    for step in range(5):
        optimizer.zero_grad()
        sum(method(batch(), 0.5).values()).backward()
        assert all(p.grad is None for p in method.teacher.parameters())
        optimizer.step()
        method.after_step(step)
    student, teacher = method.net.state_dict(), method.teacher.state_dict()
    for name, value in teacher.items():
        if value.is_floating_point():
            assert value.abs().max() > 0, name
            assert not torch.equal(value, student[name]), name


def test_the_teacher_follows_its_equation():
    method = make("mean_teacher")
    before = {k: v.clone() for k, v in method.teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in method.net.parameters():
            parameter.add_(1.0)
    method.after_step(9)  # decay min(1 - 1/10, 0.99) = 0.9
    student = method.net.state_dict()
    for name, value in method.teacher.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.9 * before[name] + 0.1 * student[name])


def test_at_its_first_step_the_teacher_is_the_student():
    method = make("mean_teacher")
    with torch.no_grad():
        next(method.net.parameters()).add_(1.0)
    method.after_step(0)
    for name, value in method.teacher.state_dict().items():
        assert torch.equal(value, method.net.state_dict()[name])


def test_consistency_is_taken_over_unannotated_images_where_there_are_any():
    method = make("mean_teacher", {"noise": 0.0})
    method.eval()
    with torch.no_grad():
        next(method.net.parameters()).add_(0.5)
    seen = batch(unannotated=2)
    logits = method.logits(seen.image).softmax(1)
    teacher = method.teacher(seen.image)[0].softmax(1)
    expected = 0.1 * torch.square(logits - teacher)[2:].mean()
    torch.testing.assert_close(method(seen, 1.0)["consistency"], expected)


def test_without_its_extra_term_mean_teacher_is_supervised():
    plain, taught = make("supervised"), make("mean_teacher", {"weight": 0.0})
    taught.net.load_state_dict(plain.net.state_dict())
    a, b = plain(batch(), 0.3), taught(batch(), 0.3)
    assert b["consistency"] == 0
    assert a["ce"] == b["ce"]
    assert a["dice"] == b["dice"]


def test_supervised_does_not_see_images_without_annotation_in_its_loss():
    method = make("supervised")
    method.eval()
    seen = batch()
    other = dataclasses.replace(seen, image=torch.cat((seen.image[:2], torch.randn_like(seen.image[2:]))))
    a, b = method(seen, 0.0), method(other, 0.0)
    torch.testing.assert_close(a["ce"], b["ce"])
    torch.testing.assert_close(a["dice"], b["dice"])


def test_an_unknown_method_or_option_is_answered_with_the_nearest_one():
    with pytest.raises(UsageError, match="mean_teacher"):
        contract.find("meanteacher")
    with pytest.raises(UsageError, match="weight"):
        make("mean_teacher", {"wieght": 1.0})


def test_a_plugin_file_with_two_methods_is_refused(tmp_path):
    plugin = tmp_path / "twice.py"
    plugin.write_text("from baselines.method import Method\nclass A(Method):\n    pass\nclass B(Method):\n    pass\n")
    with pytest.raises(BenchError, match="2 methods in one file"):
        contract.find("twice", plugin)
