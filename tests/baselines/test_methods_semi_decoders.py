"""CCT, URPC, MC-Net: their equations written out, what learns from what; all five where a part of the data lacks."""

import pytest
import torch
from gates import batch, make
from written import close, same_gradients, settled, supervised

from baselines import perturb
from baselines.methods import cct, urpc
from converters.errors import UsageError

ALL = ["cct", "urpc", "mcnet", "unimatch", "bcp"]


@pytest.mark.parametrize("ndim", [2, 3])
def test_cct_is_its_equation(ndim, monkeypatch):
    changes = (lambda x: x * 1.5, lambda x: x - 0.2, torch.relu)
    monkeypatch.setattr(cct, "CHANGES", changes)
    method, seen = settled("cct", ndim=ndim), batch(ndim)
    features = method.net.encode(seen.image)
    main = method.net.decode(features)[0]
    aux = [method.net.decode(features.changed(change), n)[0] for n, change in enumerate(changes, 1)]
    terms = method(seen, 1.0)
    close(terms["ce"] + terms["dice"], sum(supervised(logits, seen.target) for logits in [main, *aux]) / 4)
    p = main[2:].softmax(1)
    close(terms["consistency"], 0.1 * sum(((p - logits[2:].softmax(1)) ** 2).mean() for logits in aux) / 3)


def test_cct_supervises_the_main_decoder_alone_as_the_paper_does():
    method, seen = settled("cct", {"aux": 0.0}), batch()
    terms = method(seen, 1.0)
    close(terms["ce"] + terms["dice"], supervised(method.logits(seen.image), seen.target))


def test_the_main_decoder_of_cct_learns_nothing_from_its_auxiliary_ones():
    method = settled("cct")
    method(batch(), 1.0)["consistency"].backward()
    taught = {name for name, p in method.net.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert not any(name.startswith("body.decoder.") for name in taught)
    assert all(any(name.startswith(f"body.others.{n}.") for name in taught) for n in range(3))
    assert any(name.startswith("body.blocks.") for name in taught)


def test_cct_perturbs_as_published_and_leaves_the_features_as_they_are(monkeypatch):
    assert (perturb.feature_noise, cct.dropout, perturb.feature_dropout) == cct.CHANGES
    dropped = cct.dropout(torch.ones(100, 100))
    assert 0.28 < (dropped == 0).float().mean() < 0.32
    close(dropped.max(), torch.tensor(1 / 0.7))
    method, kept = settled("cct"), []
    encode = method.net.encode
    monkeypatch.setattr(method.net, "encode", lambda image: kept.append(encode(image)) or kept[-1])
    with torch.no_grad():
        heads = method.heads(batch().image)
        assert all(torch.equal(a, b) for a, b in zip(kept[0].levels, encode(batch().image).levels, strict=True))
        close(heads[:, 0], method.net.decode(kept[0])[0])


@pytest.mark.parametrize("ndim", [2, 3])
def test_urpc_is_its_equation(ndim):
    method, seen = settled("urpc", ndim=ndim), batch(ndim)
    scales = method.net(seen.image)
    assert len(scales) == 4
    terms = method(seen, 1.0)
    close(terms["ce"] + terms["dice"], sum(supervised(logits, seen.target) for logits in scales) / 4)
    p = [logits[2:].softmax(1) for logits in scales]
    mean = sum(p) / 4
    expected = 0.0
    for one in p:
        distance = (mean * (mean.log() - one.log())).sum(1, keepdim=True)
        sure = torch.exp(-distance)
        expected += (((mean - one) ** 2 * sure).mean() / (sure.mean() + 1e-8) + distance.mean()) / 4
    close(terms["consistency"], 0.1 * expected)
    same_gradients(method, terms["consistency"], 0.1 * expected)


def test_urpc_perturbs_what_coarser_heads_read_in_training_only():
    assert urpc.CHANGES[1:3] == (perturb.feature_noise, perturb.feature_dropout)
    dropped = urpc.CHANGES[3](torch.ones(100, 100))
    assert 0.48 < (dropped == 0).float().mean() < 0.52
    method, image = settled("urpc"), batch().image
    plain = torch.stack(method.net(image), 1)
    assert torch.equal(method.scales(image), plain)
    for part in method.modules():
        part.training = part is method  # the norm and the dropout of the network stay as they are
    trained = method.scales(image)
    assert torch.equal(trained[:, 0], plain[:, 0])
    assert all(not torch.equal(trained[:, s], plain[:, s]) for s in (1, 2, 3))


def test_urpc_has_no_infinite_term_where_a_scale_is_certain():
    scales = torch.tensor([[[200.0, -200.0], [-200.0, 200.0]]])[..., None, None].requires_grad_()
    found = urpc.rectified(scales)
    found.backward()
    assert torch.isfinite(found)
    assert torch.isfinite(scales.grad).all()


@pytest.mark.parametrize("decoders", [2, 3])
def test_mcnet_is_its_equation(decoders):
    method, seen = settled("mcnet", {"decoders": decoders}), batch()
    features = method.net.encode(seen.image)
    heads = [method.net.decode(features, n)[0] for n in range(decoders)]
    terms = method(seen, 1.0)
    close(terms["ce"] + terms["dice"], sum(supervised(logits, seen.target) for logits in heads))
    p = [logits.softmax(1) for logits in heads]
    sharp = [(one**10 / (one**10).sum(1, keepdim=True)).detach() for one in p]
    pairs = [(i, j) for i in range(decoders) for j in range(decoders) if i != j]
    expected = 0.1 * sum(((p[i] - sharp[j]) ** 2).mean() for i, j in pairs)
    close(terms["consistency"], expected)
    same_gradients(method, terms["consistency"], expected)
    assert torch.equal(method.logits(seen.image), heads[0])


def test_decoders_of_mcnet_differ_in_the_way_they_go_up():
    method = settled("mcnet")
    first, *others = [method.net.body.decoder, *method.net.body.others]
    kinds = [(type(one.ups[0]).__name__, getattr(one.ups[0], "mode", "")) for one in (first, *others)]
    assert kinds == [("InterpolatedUp", "bilinear"), ("ConvTranspose2d", ""), ("InterpolatedUp", "nearest")]


def test_in_passes_of_their_own_mcnet_still_learns_from_all_images():
    method, seen = settled("mcnet"), batch()
    together = method(seen, 1.0)
    method.apart = True
    for name, value in method(seen, 1.0).items():
        close(value, together[name])


@pytest.mark.parametrize("options", [{"decoders": 4}, {"decoders": 0}])
def test_mcnet_refuses_decoders_that_it_has_no_way_up_for(options):
    with pytest.raises(UsageError, match="1 to 3 decoders"):
        make("mcnet", options)


@pytest.mark.parametrize("scales", [1, 5])
def test_urpc_refuses_scales_that_it_has_no_perturbation_for(scales):
    with pytest.raises(UsageError, match="2 to 4 scales"):
        make("urpc", {"scales": scales})


@pytest.mark.parametrize(("annotated", "unannotated"), [(4, 0), (1, 0), (0, 3), (3, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("name", ALL)
def test_any_mix_of_images_trains_and_no_image_or_target_is_changed(name, annotated, unannotated):
    method = make(name).train()
    seen = batch(annotated=annotated, unannotated=unannotated)
    image, target = seen.image.clone(), seen.target.clone()
    for stage in method.stages:
        method.enter(stage)
        method.zero_grad()
        terms = method(seen, 0.5)
        sum(terms.values()).backward()
        assert all(torch.isfinite(value) for value in terms.values())
        grads = [p.grad for p in method.net.parameters() if p.grad is not None]
        assert grads
        assert all(torch.isfinite(grad).all() for grad in grads)
        assert annotated == 0 or any(grad.abs().max() > 0 for grad in grads)
    assert torch.equal(seen.image, image)
    assert torch.equal(seen.target, target)
