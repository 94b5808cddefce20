"""DAST: each branch its labels, the ranks of its public code, and the two terms that wait for them."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from gates import make, reaches
from test_methods_noisy import K, noisy, softmax

from baselines.model import load_model
from baselines.ramps import ramp_up
from baselines.train import RefusedError, Setting, train
from converters.dataset import IGNORE


def judged(losses):
    """What the ranks of DAST's public code say of each pair (l_n, l_c), but for a queue that is not full: nothing."""
    queues, found = ([], []), []
    for pair in losses:
        ranks = []
        for queue, value in zip(queues, pair, strict=True):
            full = len(queue) == 20
            queue[:] = [*queue[-19:], value]
            ranks.append(int(np.argsort(queue).tolist().index(len(queue) - 1)) if full else None)
        told = pair[0] < pair[1] and ranks[0] is not None
        found.append((told and ranks[1] >= 16, told and ranks[0] <= 4))
    return found


def test_dast_ranks_the_losses_of_noisy_samples_among_those_of_the_last_twenty_steps():
    method, rng = make("dast").train(), np.random.default_rng(0)
    losses, severe, mild = [], [], []
    voxels = torch.ones(1, 4, 4, dtype=torch.bool)
    logits = torch.zeros(1, K, 4, 4)
    for pair in rng.random((120, 2), np.float32):
        fits = [torch.full((1, 4, 4), float(value)) for value in pair]
        told = method._judge(logits, logits, fits, voxels)
        losses.append(pair)
        severe.append(bool(told[0]))
        mild.append(bool(told[1]))
    expected = judged(losses)
    assert list(zip(severe, mild, strict=True)) == expected
    assert 0 < sum(severe) < 60
    assert 0 < sum(mild) < 60
    np.testing.assert_allclose(method.last.numpy(), np.array(losses[-20:]).T, rtol=1e-6)


def ready(severe, mild):
    """A method whose queue is full, so that the next noisy samples are judged as wanted."""
    method = make("dast").train()
    method.ranked.fill_(20)
    method.last[0] = 1e9 if mild else -1e9  # l_n is then the smallest, or the largest
    method.last[1] = -1e9 if severe else 1e9
    return method


@pytest.mark.parametrize(("severe", "mild"), [(True, False), (False, True), (True, True), (False, False)])
def test_dast_adds_what_the_ranks_say_and_both_terms_teach(severe, mild):
    method, seen = ready(severe, mild), noisy(scribbles=True)
    features = method.net.encode(seen.image)
    p, q = (softmax(method.net.decode(features, n)[0].detach().double().numpy()) for n in (0, 1))
    untrusted = (seen.target != IGNORE).numpy()
    untrusted[::2] = False
    p, q = (np.moveaxis(x, 1, -1)[untrusted] for x in (p, q))
    y = np.eye(K)[seen.target.numpy()[untrusted]]
    apart = 0.5 * ((p - q) * (np.log(p) - np.log(q))).sum(1)
    near = np.exp(-16 * apart)
    told = (-np.log((p * y).sum(1)) * near).mean() < (-np.log((q * y).sum(1)) * near).mean()
    pseudo = (np.eye(K)[p.argmax(1)] + np.eye(K)[q.argmax(1)] + y) / 3
    pseudo = pseudo**2 / (pseudo**2).sum(1, keepdims=True)
    weight = 0.1 * ramp_up(0.6, 0.1, 0.8) * told
    terms = method(seen, 0.6)
    assert told, "the made-up case is judged"
    assert terms["divergence"].item() == pytest.approx(weight * severe * apart.mean(), rel=1e-3)
    assert terms["supplement"].item() == pytest.approx(weight * mild * np.abs(p - pseudo).mean(), rel=1e-3)
    assert reaches(terms["divergence"], list(method.parameters())) == severe
    assert reaches(terms["supplement"], list(method.net.body.decoder.parameters())) == mild
    assert not reaches(terms["supplement"], list(method.net.body.others.parameters()))


def test_clean_and_noisy_samples_teach_their_own_branch():
    method, seen = make("dast"), noisy()
    terms = method(seen, 0.5)
    branches = [list(part.parameters()) for part in (method.net.body.decoder, method.net.body.others)]
    assert [reaches(terms["ce_clean"], branch) for branch in branches] == [True, False]
    assert [reaches(terms["ce_noisy"], branch) for branch in branches] == [False, True]


def test_a_view_that_does_not_tell_clean_labels_from_noisy_ones_is_skipped_with_the_reason(whole, small, tmp_path):
    def called(kind, subjects):
        return tuple(
            msgspec.structs.replace(case, label=msgspec.structs.replace(case.label, kind=kind))
            if case.subject in subjects
            else case
            for case in whole.cases
        )

    config = small(method="dast")
    for view, reason in (
        (whole, "no label of this view is noisy"),
        (
            dataclasses.replace(whole, cases=called("noisy", whole.subjects)),
            "no label of this view is known to be clean",
        ),
    ):
        with pytest.raises(RefusedError, match=f"dast is skipped: {reason}") as refused:
            train(view, config, tmp_path / reason, Setting())
        assert "--annotator boundary:trusted=1" in refused.value.mend
    told = dataclasses.replace(whole, cases=called("noisy", whole.subjects[:4]))
    trained = train(told, config, tmp_path / "told", Setting())
    loaded, _ = load_model(trained.model, torch.device("cpu"))
    assert loaded.ranked.item() == config.steps
    assert (loaded.last[:, -1] > 0).all()
