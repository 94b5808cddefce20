"""What every method is put through: tiny networks, a batch of its kind of annotation, steps of each stage."""

import contextlib
import dataclasses
import functools

import msgspec
import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from baselines import method as contract
from baselines.batch import Batch
from baselines.config import NetConfig, NetSpec
from baselines.nets import maker, networks
from baselines.stages import Seen
from converters.dataset import IGNORE
from converters.errors import BenchError

DEEP = (8,) * 5
SPEC = NetSpec(
    config=NetConfig(widths=(8, 16), dropout=(0.0, 0.0)),
    in_channels=1,
    classes=3,
    patch=(16, 16),
    spacing=(1.0, 1.0),
    precision="fp32",
    channels_last=False,
)


def spec(ndim=2, **net):
    """A tiny network; `net` changes its `NetConfig`."""
    flat = msgspec.structs.replace(SPEC, config=msgspec.structs.replace(SPEC.config, **net))
    return flat if ndim == 2 else msgspec.structs.replace(flat, patch=(8, 16, 16), spacing=(1.0,) * 3)


def make(name, options=None, ndim=2, **net):
    """The method of that name, or the class itself, on a tiny network; the same weights each time."""
    cls = contract.find(name) if isinstance(name, str) else name
    fitting = {**levels(cls), **net}  # which builds one, the first time
    torch.manual_seed(0)
    return contract.build(cls, maker(spec(ndim, **fitting)), options or {})


@functools.cache
def levels(cls):
    """Five levels for a method that cannot do with two."""
    try:
        contract.build(cls, maker(SPEC), {})
    except BenchError:
        return {"widths": DEEP, "dropout": (0.0,) * len(DEEP)}
    return {}


def kind(cls):
    """Of annotation that a method is tried on."""
    if "unlabelled" in cls.composition:
        return "semi"
    return next((one for one in ("full", "scribble", "noisy") if one in cls.protocols), "full")


def batch_of(cls, ndim=2, unit=2):
    """A batch as the sampler lays it out for such a method: `unit` samples for each of its shares."""
    shares = cls.composition
    hidden = unit * shares.get("unlabelled", 0)
    shown = unit * sum(share for name, share in shares.items() if name != "unlabelled")
    return batch(ndim, hidden, max(shown, 4 - hidden), kind(cls))


def batch(ndim=2, unannotated=2, annotated=2, kind="semi"):
    """One made-up case, seen again and again under other noise: background 0, a square 1, a bar 2, brighter each."""
    size = (16, 16) if ndim == 2 else (8, 16, 16)
    count = annotated + unannotated
    rng = np.random.default_rng(0)
    target = torch.zeros(count, *size, dtype=torch.long)
    target[..., 4:10, 4:10] = 1
    target[..., 10:14, 2:8] = 2
    image = target[:, None].float() + torch.from_numpy(rng.normal(0, 0.1, (count, 1, *size))).float()
    if kind == "scribble":
        drawn = torch.zeros(size, dtype=torch.bool)
        drawn[..., 1::3, ::2] = True
        target = torch.where(drawn, target, IGNORE)
    target[annotated:] = IGNORE
    seen = [n < annotated for n in range(count)]
    return Batch(
        image=image,
        target=target,
        case=torch.arange(count),
        slice=torch.zeros(count, dtype=torch.long),
        grid=torch.eye(2, 3).repeat(count, 1, 1) if ndim == 2 else torch.eye(3, 4).repeat(count, 1, 1),
        # Of noisy labels the first half is called clean.
        trusted=torch.tensor([n < (annotated // 2 if kind == "noisy" else annotated) for n in range(count)]),
        annotated=tuple(seen),
    )


def rows(batch, chosen):
    """Some samples of a batch: a slice or a list of numbers."""
    numbers = range(len(batch.annotated))[chosen] if isinstance(chosen, slice) else chosen
    named = [field.name for field in dataclasses.fields(batch) if field.name not in ("elsewhere", "value")]
    values = {name: getattr(batch, name) for name in named}
    return Batch(
        **{
            name: tuple(value[n] for n in numbers) if name == "annotated" else value[list(numbers)]
            for name, value in values.items()
        }
    )


def stages_of(method, seen, like=None):
    """(stage, batch) of a training, each entered when its turn comes: drawn labels, fresh weights where it says so.

    `like`: a method whose stages are walked through in place of its own, on the labels as they are.
    """
    start = {name: value.clone() for name, value in method.state_dict().items()}
    states = [None] * len(seen.annotated)
    for stage in (like or method).stages:
        labels = seen
        if stage.relabel and like is None:
            labels, states = _relabelled(method, stage, seen, states)
        if stage.fresh:
            method.load_state_dict(start)
        method.enter(stage)
        method.train()
        yield stage, labels


def _relabelled(method, stage, seen, states):
    """The batch with the targets that a method draws anew for a stage, each sample being a case of its own."""
    method.eval()
    with torch.no_grad():
        drawn = list(method.relabel([_case(method, stage, seen, n, state) for n, state in enumerate(states)]))
    drawn = [one if isinstance(one, tuple) else (one, None) for one in drawn]
    target = np.stack([np.moveaxis(label, -1, 0).reshape(seen.target.shape[1:]) for label, _ in drawn])
    annotated = tuple(bool(any_) for any_ in (target != IGNORE).reshape(len(target), -1).any(1))
    labels = dataclasses.replace(seen, target=torch.from_numpy(target).long(), annotated=annotated)
    return labels, [state for _, state in drawn]


def _case(method, stage, seen, number, state):
    def on_grid(values):  # slices first -> slices last
        return np.moveaxis((values if seen.image.ndim == 5 else values.unsqueeze(-3)).numpy(), -3, -1)

    return Seen(
        case=f"case{number}",
        label=on_grid(seen.target[number]).astype(np.uint8),
        image=on_grid(seen.image[number]),
        probabilities=on_grid(method.logits(seen.image[[number]])[0].softmax(0)) if stage.predicted else None,
        spacing=(1.0, 1.0, 1.0),
        slice_axis=2,
        rng=np.random.default_rng(number),
        previous=state,
    )


def steps_of(method, seen, optimizer, steps, start=0, noise=0.0):
    """The terms of each step; whoever asks takes the gradients and the step of the optimiser.

    `noise`: SD of what is added to the images anew at each step.
    """
    method.train()
    for step in range(start, start + steps):
        optimizer.zero_grad()
        torch.manual_seed(step)
        image = seen.image + noise * torch.randn_like(seen.image) if noise else seen.image
        yield method(dataclasses.replace(seen, image=image), step / (start + steps))
        method.after_step(step)


def learn(method, seen, steps=3, rate=0.1, like=None):
    """Train plainly, in every stage, and return the parameters of the network that predicts."""
    for _, labels in stages_of(method, seen, like):
        optimizer = torch.optim.SGD(method.parameter_groups(), rate, momentum=0.9, weight_decay=1e-4)
        for terms in steps_of(method, labels, optimizer, steps):
            sum(terms.values()).backward()
            optimizer.step()
    return clone(method.net)


def reaches(value, weights):
    """Whether a term has a gradient, other than 0, in any of the weights."""
    if not value.requires_grad:
        return False
    gradients = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    return any(gradient is not None and bool(gradient.abs().max() > 0) for gradient in gradients)


def changed_by_forward(method, seen):
    """Weights that a forward pass on two parts of a batch moves, and terms that differ when it is asked for again.

    Between the two, buffers are put back and the random numbers begin anew.
    """
    weights = {name: weight.detach().clone() for name, weight in method.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in method.named_buffers()}
    given = []
    for _ in range(2):
        torch.manual_seed(0)
        given.append([method(seen.part(number, 2), 0.5) for number in range(2)])
        for name, buffer in method.named_buffers():
            buffer.copy_(buffers[name])
    found = {name for name, weight in method.named_parameters() if not torch.equal(weight, weights[name])}
    for first, again in zip(*given, strict=True):
        found |= first.keys() ^ again.keys()
        found |= {term for term in first.keys() & again.keys() if not torch.equal(first[term], again[term])}
    return found


def frozen(method):
    """(path, network) of every network that does not learn by gradients."""
    of = {id(net): path for path, net in method.named_modules()}
    return [
        (of[id(net)], net) for net in networks(method) if not any(weight.requires_grad for weight in net.parameters())
    ]


def clone(module: nn.Module):
    """Its parameters, as they are now."""
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def dice(predicted, target, classes=3):
    """Mean Dice of the structures, where somebody annotated."""
    predicted = torch.where(target == IGNORE, IGNORE, predicted)
    pairs = [(predicted == k, target == k) for k in range(1, classes)]
    return float(np.mean([2 * (a & b).sum() / (a.sum() + b.sum()).clamp(min=1) for a, b in pairs]))


class _Host(TorchDispatchMode):
    """What neither comes from the GPU nor goes there is done in earnest: a number drawn on the host may be read."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.ops.aten._pin_memory.default:
            return args[0]
        place = kwargs.get("device")
        away = place is not None and torch.device(place).type == "cuda"
        if away or any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs))):
            return function(*args, **kwargs)
        with unset_fake_temporarily():
            return function(*args, **kwargs)


@contextlib.contextmanager
def gpu_without_values(method, *batches):
    """The batches, and the method in place, on a GPU that is not there: a tensor knows its place and shape alone.

    What reads a value is an error there, and so is what takes a tensor that was left on the host.
    """
    tensors = [field.name for field in dataclasses.fields(Batch) if field.name not in ("annotated", "elsewhere")]
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in method.modules():
            for name, weight in module.named_parameters(recurse=False):
                module._parameters[name] = nn.Parameter(_elsewhere(weight), weight.requires_grad)
            for name, buffer in module.named_buffers(recurse=False):
                module._buffers[name] = _elsewhere(buffer)
        moved = [
            dataclasses.replace(one, **{name: _elsewhere(getattr(one, name)) for name in tensors}) for one in batches
        ]
        with _Host():
            yield moved


def _elsewhere(tensor):
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
