"""UniMatch and BCP: their equations written out on mixtures of images, and which labels each voxel has."""

import numpy as np
import pytest
import torch
from gates import batch, clone, make
from test_largest import by_scipy
from written import close, settled, supervised

from baselines.losses import soft_dice
from baselines.methods import bcp, unimatch
from baselines.perturb import central_box, channel_dropout
from converters.dataset import IGNORE


def known(logits):
    p = logits.detach().softmax(1)
    return p.amax(1), p.argmax(1)


@pytest.fixture
def fixed(monkeypatch):
    """What is random made known: two boxes by turns, a darker image, the first half of the channels dropped."""
    boxes = []

    def box(image):
        inside = torch.zeros_like(image[:, :1], dtype=torch.bool)
        inside[..., 2:7, 3:9] = len(boxes) % 2 == 0
        inside[..., 8:15, 1:5] = len(boxes) % 2 == 1
        boxes.append(inside)
        return inside

    def drop(x):
        keep = torch.arange(x.shape[1]) >= x.shape[1] // 2
        return x * keep.view(-1, *[1] * (x.ndim - 2)) * 2

    monkeypatch.setattr(unimatch, "box", box)
    monkeypatch.setattr(unimatch, "strong", lambda image: 0.5 * image)
    monkeypatch.setattr(unimatch, "channel_dropout", drop)
    return boxes, drop


@pytest.mark.parametrize("ndim", [2, 3])
def test_unimatch_is_its_equation(fixed, ndim):
    boxes, drop = fixed
    method, seen = settled("unimatch", ndim=ndim), batch(ndim, annotated=2, unannotated=4)
    weak, other = seen.image[2:4], seen.image[4:6]
    method.confidence = confidence = known(method.logits(weak))[0].median()
    terms = method(seen, 0.0)
    close(terms["ce"] + terms["dice"], 0.5 * supervised(method.logits(seen.image[:2]), seen.target[:2]))
    (p, label), (p_other, label_other) = known(method.logits(weak)), known(method.logits(other))
    expected = 0.0
    for inside in boxes:
        logits = method.logits(torch.where(inside, 0.5 * other, 0.5 * weak))
        sure = torch.where(inside[:, 0], p_other, p) >= confidence
        target = torch.where(sure, torch.where(inside[:, 0], label_other, label), IGNORE)
        expected += 0.25 * soft_dice(logits, target)
        assert sure.any()
        assert not sure.all()
    close(terms["strong"], 0.5 * expected)
    features = method.net.encode(weak).changed(drop)
    target = torch.where(p >= confidence, label, IGNORE)
    close(terms["features"], 0.5 * 0.5 * soft_dice(method.net.decode(features)[0], target))


def test_the_dice_of_unimatch_leaves_out_what_is_not_sure():
    logits = torch.randn(2, 3, 8, 8)
    target = torch.randint(3, (2, 8, 8))
    target[:, :4] = IGNORE
    p, expected = logits.softmax(1), 0.0
    for code in range(3):
        is_code = (target[:, 4:] == code).float()
        score = p[:, code, 4:]
        expected += (1 - (2 * (score * is_code).sum() + 1e-5) / ((score**2).sum() + is_code.sum() + 1e-5)) / 3
    close(soft_dice(logits, target), expected)
    assert soft_dice(logits, torch.full_like(target, IGNORE)) == 0


def test_the_other_image_of_unimatch_is_labelled_in_eval_mode_and_leaves_no_trace():
    method, image = make("unimatch").train(), batch().image
    with torch.no_grad():
        for _ in range(3):
            method.net(image)
    buffers = {name: value.clone() for name, value in method.named_buffers()}
    p, label = method._settled(image)
    assert method.net.training
    assert all(torch.equal(value, buffers[name]) for name, value in method.named_buffers())
    expected = known(method.eval().logits(image))
    assert torch.equal(p, expected[0])
    assert torch.equal(label, expected[1])


def test_unimatch_drops_half_of_the_channels_of_every_learnt_level(monkeypatch):
    asked = []
    monkeypatch.setattr(unimatch, "channel_dropout", lambda x: asked.append(x.shape) or channel_dropout(x))
    make("unimatch").train()(batch(annotated=2, unannotated=4), 0.0)
    assert asked == [(2, 8, 16, 16), (2, 16, 8, 8)]


def test_where_unimatch_is_sure_of_nothing_its_terms_are_zero():
    method = settled("unimatch", {"confidence": 1.1})
    terms = method(batch(annotated=2, unannotated=4), 0.0)
    assert terms["strong"] == 0
    assert terms["features"] == 0


def stage(method, name):
    method.enter(next(one for one in method.stages if one.name == name))
    return method


@pytest.fixture
def boxed(monkeypatch):
    """BCP with the same box in each image: the upper left quarter."""

    def box(image, share):
        inside = torch.zeros_like(image[:, :1], dtype=torch.bool)
        inside[..., 0:8, 0:8] = share > 0
        return inside

    monkeypatch.setattr(bcp, "central_box", box)


def pasted(outer, inner):
    mixed = outer.clone()
    mixed[..., 0:8, 0:8] = inner[..., 0:8, 0:8]
    return mixed


def masked(target, *, within):
    shown = torch.full_like(target, IGNORE)
    shown[..., 0:8, 0:8] = 0
    return torch.where((shown == 0) == within, target, IGNORE)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_first_stage_of_bcp_copies_the_second_half_of_the_annotated_into_the_first(boxed, ndim):
    method, seen = stage(settled("bcp", ndim=ndim), "pretrain"), batch(ndim, annotated=4, unannotated=4)
    terms = method(seen, 0.0)
    logits = method.logits(pasted(seen.image[:2], seen.image[2:4]))
    around = supervised(logits, masked(seen.target[:2], within=False))
    within = supervised(logits, masked(seen.target[2:4], within=True))
    assert set(terms) == {"ce", "dice"}
    close(terms["ce"] + terms["dice"], around + within)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_second_stage_of_bcp_is_its_equation(boxed, ndim):
    method, seen = stage(settled("bcp", ndim=ndim), "train"), batch(ndim, annotated=4, unannotated=4)
    with torch.no_grad():
        for parameter in method.teacher.parameters():
            parameter.mul_(1.1)
    terms = method(seen, 0.0)
    l_a, l_b, u_b, u_a = seen.image.split(2)  # of the unannotated, which half is which makes no difference
    y_a, y_b, _, _ = seen.target.split(2)
    first, second = method.logits(pasted(u_a, l_a)), method.logits(pasted(l_b, u_b))
    known_ = supervised(first, masked(y_a, within=True)) + supervised(second, masked(y_b, within=False))
    close(terms["ce"] + terms["dice"], known_)
    p_a, p_b = (largest(method.teacher(image)[0].argmax(1)) for image in (u_a, u_b))
    pseudo = supervised(first, masked(p_a, within=False)) + supervised(second, masked(p_b, within=True))
    close(terms["pseudo"], 0.5 * pseudo)
    sum(terms.values()).backward()
    assert all(p.grad is None for p in method.teacher.parameters())


def largest(labels):
    return torch.from_numpy(by_scipy(labels.numpy(), 3))


def test_bcp_copies_no_image_into_itself_where_all_are_annotated(monkeypatch):
    method, pairs = stage(make("bcp"), "train"), []
    mixed = method._mixed
    monkeypatch.setattr(method, "_mixed", lambda *pair: pairs.append(pair) or mixed(*pair))
    method(batch(annotated=4, unannotated=0), 0.0)
    assert len(pairs) == 2
    for outer, inner in pairs:
        assert not any(torch.equal(a, b) for a, b in zip(outer[0], inner[0], strict=True))


def test_the_teacher_of_bcp_is_the_student_when_the_second_stage_begins_and_follows_it_from_there():
    method = make("bcp")
    before = clone(method.teacher)
    with torch.no_grad():
        for parameter in method.net.parameters():
            parameter.add_(1.0)
    stage(method, "pretrain").after_step(0)
    assert all(torch.equal(value, before[name]) for name, value in clone(method.teacher).items())
    stage(method, "train")
    student = clone(method.net)
    assert all(torch.equal(value, student[name]) for name, value in clone(method.teacher).items())
    with torch.no_grad():
        for parameter in method.net.parameters():
            parameter.add_(1.0)
    method.after_step(0)
    for name, value in clone(method.teacher).items():
        torch.testing.assert_close(value, 0.99 * student[name] + 0.01 * (student[name] + 1))


def test_stages_of_bcp_share_the_steps_as_published():
    shares = {one.name: one.share for one in bcp.BCP.stages}
    assert shares == {"pretrain": 10_000 / 40_000, "train": 30_000 / 40_000}


def test_the_box_of_bcp_has_two_thirds_of_each_edge(monkeypatch):
    boxes = []
    monkeypatch.setattr(bcp, "central_box", lambda *given: boxes.append(central_box(*given)) or boxes[-1])
    stage(make("bcp", ndim=3), "train")(batch(3), 0.0)
    assert boxes
    for inside in boxes:
        assert inside.sum().item() == len(inside) * np.prod([5, 10, 10])
