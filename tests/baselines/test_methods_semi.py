"""What semi-supervised methods share: the annotated images, the weight of the rest, one pass or two."""

import dataclasses

import pytest
import torch
from equations import SEMI, poked
from gates import batch, make

from baselines import method as contract
from baselines.losses import supervision


@pytest.mark.parametrize("name", SEMI)
def test_what_is_annotated_is_learnt_as_ever(name):
    method, seen = poked(name), batch()
    terms = method(seen, 0.5)
    logits = method.logits(seen.image)
    for term, value in supervision(logits, seen.target).items():
        torch.testing.assert_close(terms[term], value)


@pytest.mark.parametrize("name", SEMI)
def test_without_its_weight_it_is_supervised_bit_for_bit(name):
    """On the annotated images alone, where unannotated ones have a pass of their own."""
    seen = batch()
    shown = dataclasses.replace(seen, **{key: getattr(seen, key)[:2] for key in ("image", "target", "annotated")})
    trained = []
    for method, one in ((make("supervised"), shown), (make(name, contract.find(name).reduces), seen)):
        method.apart = True
        method.train()
        optimizer = torch.optim.SGD(method.parameter_groups(), 0.1, momentum=0.9)
        for step in range(3):
            optimizer.zero_grad()
            sum(method(one, step / 3).values()).backward()
            optimizer.step()
            method.after_step(step)
        trained.append(dict(method.net.named_parameters()))
    assert all(torch.equal(weight, trained[1][path]) for path, weight in trained[0].items())


def scattered(annotated):
    """Annotated samples anywhere in a batch."""
    seen = batch(unannotated=0, annotated=4)
    target = torch.where(torch.tensor(annotated)[:, None, None], seen.target, 255)
    return dataclasses.replace(seen, target=target, annotated=annotated)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    "annotated", [(True, True, False, False), (True, False, True, False), (True,) * 4, (False,) * 4]
)
def test_annotated_images_and_the_pool_in_one_pass_or_two(annotated, apart):
    method, seen = poked("supervised"), scattered(annotated)
    method.apart = apart
    logits, target, pool = method.both(seen)
    plain = method.logits(seen.image)
    near = {"rtol": 1e-3, "atol": 1e-4}  # a convolution of one image rounds otherwise than one of four
    for term, value in supervision(logits, target).items():
        torch.testing.assert_close(value, supervision(plain, seen.target)[term], **near)
    torch.testing.assert_close(pool, plain[seen.pool()], **near)
    mixed, _, others = method.both(seen, pool=seen.image[:1] + 1, forward=lambda image: 2 * method.logits(image))
    torch.testing.assert_close(mixed, 2 * plain[seen.rows(annotated=True)], **near)
    torch.testing.assert_close(others, 2 * method.logits(seen.image[:1] + 1), **near)


def test_apart_unannotated_images_have_no_part_in_the_norm_of_the_others():
    method, seen = make("supervised").train(), batch()
    other = dataclasses.replace(seen, image=torch.cat((seen.image[:2], 3 * seen.image[2:])))
    joint = [method.both(one)[0][:2] for one in (seen, other)]
    method.apart = True
    apart = [method.both(one)[0] for one in (seen, other)]
    assert torch.equal(*apart)
    assert not torch.allclose(*joint)
