"""The contract, how a method is found, and what is particular about the first of them; gates hold for all."""

import dataclasses

import pytest
import torch
from gates import batch, make

from baselines import method as contract
from converters.errors import BenchError, UsageError


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
