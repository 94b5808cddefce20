"""Every method must pass: its terms teach, its teacher lives, it learns from what it says, it runs where it says."""

import dataclasses
import inspect

import gates
import pytest
import torch
from courses import course, lifeless, overfitted
from gates import batch_of, dice, learn, make, rows, stages_of

from baselines import method as contract
from baselines.config import TrainConfig
from baselines.model import ModelSpec, load_model, save_model
from baselines.nets import networks

METHODS = contract.names()
# What waits for a batch that fits better, or worse, than most before it: `test_methods_dast.py` makes one.
RANKED = {"dast": {"train/divergence", "train/supplement"}}


def refused(name, ndim=2):
    """Skips where a method says that it cannot learn from such images."""
    if reason := contract.find(name).refuses(ndim, 2, 2):
        pytest.skip(reason)


@pytest.mark.parametrize("name", METHODS)
def test_each_term_teaches_each_weight_is_taught_and_every_teacher_lives_by_no_gradient(name):
    """Over a training in which one case is overfitted, so that terms that wait for sure predictions get them."""
    refused(name)
    found = overfitted(name)
    teaches(name, found)
    named = [part for path, part in found.method.named_modules() if "teacher" in path]
    assert not any(weight.requires_grad for part in named for weight in part.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_one_case_can_be_overfitted(name):
    refused(name)
    found = overfitted(name)
    case = batch_of(type(found.method))
    with torch.no_grad():
        predicted = found.method.eval().logits(case.image).argmax(1)
    assert dice(predicted, case.target) > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_every_weight_that_learns_is_in_one_group(name):
    method = make(name)
    grouped = [id(weight) for group in method.parameter_groups() for weight in group["params"]]
    assert sorted(grouped) == sorted(id(weight) for weight in method.parameters() if weight.requires_grad)


@pytest.mark.parametrize("name", METHODS)
def test_without_its_extra_weights_it_is_supervised_bit_for_bit(name):
    cls = contract.find(name)
    if cls.reduces is None:
        pytest.skip("test_limits.py shows its own limit")
    method = make(name, dict(cls.reduces))
    method.apart = True
    plain = make("supervised", dict(cls.limit), **gates.levels(cls))
    start = {weight: value.clone() for weight, value in plain.net.state_dict().items()}
    assert method.net.load_state_dict(start, strict=False).unexpected_keys == []
    seen = batch_of(cls)
    shown = [n for n, annotated in enumerate(seen.annotated) if annotated]
    method_weights = learn(method, seen)
    plain_weights = learn(plain, rows(seen, shown), like=cls)
    for weight, value in plain_weights.items():
        assert torch.equal(method_weights[weight], value), weight


@pytest.mark.parametrize("name", METHODS)
def test_images_without_annotation_change_the_weights(name):
    """With a forward pass of their own: through the statistics of a norm layer they would do so unasked."""
    if gates.kind(contract.find(name)) != "semi":
        pytest.skip("it was not made for images without annotation")
    found = overfitted(name)
    weights = []
    for other in (found.seen.image, found.seen.image.flip(-1)):
        method = make(name)
        method.load_state_dict(found.method.state_dict())
        method.enter(method.stages[-1])
        method.apart = True
        hidden = torch.tensor(found.seen.annotated).logical_not()
        image = torch.where(hidden.view(-1, *[1] * (other.ndim - 1)), other, found.seen.image)
        seen = dataclasses.replace(found.seen, image=image)
        optimizer = torch.optim.SGD(method.parameter_groups(), 0.1)
        for terms in gates.steps_of(method, seen, optimizer, 2, start=98):
            sum(terms.values()).backward()
            optimizer.step()
        weights.append(gates.clone(method.net))
    assert any(not torch.equal(weights[0][weight], value) for weight, value in weights[1].items())


@pytest.mark.parametrize("name", METHODS)
def test_volumes_are_learnt_from_where_they_are_not_refused(name):
    refused(name, ndim=3)
    teaches(name, course(make(name, ndim=3), steps=10, ndim=3))


@pytest.mark.parametrize("name", METHODS)
def test_a_network_of_smp_learns(name):
    teaches(name, course(make(name, arch="Unet", encoder="resnet18"), steps=4, least=4))


def teaches(name, found):
    """Each term reaches a weight, each weight is reached, every teacher lives."""
    assert found.alive
    dead = {term for term, alive in found.alive.items() if not alive}
    assert dead <= RANKED.get(name, set()), "terms that teach nothing"
    assert (found.untaught, found.leaks, lifeless(found)) == (set(), set(), [])


@pytest.mark.parametrize("name", METHODS)
def test_no_forward_reads_a_value_or_forgets_where_its_tensors_are(name):
    """On a GPU made of shapes alone; `test_loop.py` watches whole steps, with values."""
    refused(name)
    real, fake = make(name).train(), make(name).train()
    stages = list(stages_of(real, batch_of(type(real))))
    with gates.gpu_without_values(fake, *(labels for _, labels in stages)) as batches:
        for (stage, _), labels in zip(stages, batches, strict=True):
            fake.enter(stage)
            for progress in (0.0, 0.5, 0.99):
                terms = fake(labels, progress)
                assert {(value.device.type, value.shape) for value in terms.values()} == {("cuda", ())}
            fake.after_step(3)


@pytest.mark.parametrize("name", METHODS)
def test_a_part_of_a_batch_is_taken_and_may_be_asked_for_again(name):
    """As the loop does where memory did not do: it puts buffers back, and nothing else may have changed."""
    refused(name)
    method = make(name).train()
    seen = batch_of(type(method), unit=4)
    for _, labels in stages_of(method, seen):
        assert gates.changed_by_forward(method, labels) == set()


@pytest.mark.parametrize("name", METHODS)
def test_its_state_is_all_that_is_saved(name, tmp_path):
    """State dict and files give the same predictions, and the same terms: a resumed training goes on as it was."""
    refused(name)
    found = overfitted(name)
    net = gates.spec(**gates.levels(type(found.method)))
    config = TrainConfig(method=name, net=net.config, patch=net.patch)
    labels = {"background": 0, "square": 1, "bar": 2}
    model = ModelSpec(config=config, net=net, channels=("image",), labels=labels, seed=0)
    save_model(found.method, model, tmp_path)
    loaded, told = load_model(tmp_path, torch.device("cpu"))
    assert told == model
    image = found.seen.image
    assert torch.equal(loaded.logits(image), found.method.eval().logits(image))
    loaded.enter(loaded.stages[-1])
    loaded.load_state_dict(found.method.state_dict())
    terms = []
    for method in (found.method, loaded):
        torch.manual_seed(0)
        terms.append({term: value.detach() for term, value in method.train()(found.seen, 0.9).items()})
        method.eval()
    assert terms[0].keys() == terms[1].keys()
    assert all(torch.equal(terms[0][term], terms[1][term]) for term in terms[0])


@pytest.mark.parametrize("name", METHODS)
def test_it_says_what_it_is(name):
    cls = contract.find(name)
    assert cls.protocols
    assert set(cls.protocols) <= {"full", "semi", "scribble", "noisy"}
    assert inspect.getdoc(cls) != inspect.getdoc(contract.Method)
    assert name == "supervised" or cls.paper
    assert cls.refuses(2, 1, 0) is None or "unlabelled" in cls.composition
    assert "nothing is annotated" in cls.refuses(2, 0, 5)
    assert sum(stage.share for stage in cls.stages) == pytest.approx(1)
    assert cls.one_rank == "" or " " in cls.one_rank
    assert any(True for _ in networks(make(name)))
