"""A training that is watched: which terms reach weights, what leaks, what becomes of teachers."""

import dataclasses
import functools

import torch
from gates import batch_of, clone, frozen, make, reaches, stages_of, steps_of

from baselines import method as contract
from baselines.batch import Batch
from baselines.nets import Network, networks
from baselines.unet import UNet

STEPS, RATE = 60, 0.01


@dataclasses.dataclass
class Course:
    """What was seen of a training."""

    method: contract.Method
    seen: Batch  # what the last stage learnt from
    alive: dict[str, bool] = dataclasses.field(default_factory=dict)  # "stage/term": its gradient reached a weight
    untaught: set[str] = dataclasses.field(default_factory=set)  # weights said to learn, that no gradient ever reached
    leaks: set[str] = dataclasses.field(default_factory=set)  # weights that do not learn, and got a gradient or moved
    teachers: dict[str, set[str]] = dataclasses.field(default_factory=dict)  # path -> "moved", "zero", "student"


@functools.cache
def overfitted(name):
    """A watched training of a method on one case; nobody may change what it gives."""
    return course(make(name))


def course(method, steps=STEPS, rate=RATE, ndim=2, least=10):
    """All stages of a method on one batch, watched; `least` steps in each."""
    seen = batch_of(type(method), ndim)
    found = Course(method, seen)
    learning = {name for name, weight in method.named_parameters() if weight.requires_grad}
    taught = set()
    for stage, found.seen in stages_of(method, seen):
        _stage(found, taught, max(least, round(steps * stage.share)), rate)
        learning |= {name for name, weight in method.named_parameters() if weight.requires_grad}
    found.untaught = _parts(method, learning) - _parts(method, taught)
    return found


def _parts(method, names):
    """Weights of our U-Net one by one, those of other networks by part: attention to one place learns nothing."""
    foreign = [f"{path}.body." for path, net in method.named_modules() if isinstance(net, Network)]
    foreign = [path for path in foreign if not isinstance(method.get_submodule(path[:-1]), UNet)]
    found = set()
    for name in names:
        path = next((path for path in foreign if name.startswith(path)), None)
        found.add(name if path is None else path + name.removeprefix(path).partition(".")[0])
    return found


def _stage(found, taught, steps, rate):
    method = found.method
    before = {path: clone(net) for path, net in frozen(method)}
    optimizer = torch.optim.Adam(method.parameter_groups(), rate)
    for step, terms in enumerate(steps_of(method, found.seen, optimizer, steps, noise=0.1)):
        weights = dict(method.named_parameters())
        for term, value in terms.items():
            name = f"{method.stage.name}/{term}"
            assert torch.isfinite(value), f"{name} is {value} at step {step}"
            if not found.alive.get(name):
                found.alive[name] = reaches(value, [w for w in weights.values() if w.requires_grad])
        sum(terms.values()).backward()
        graded = {name for name, weight in weights.items() if weight.grad is not None}
        found.leaks |= {name for name in graded if not weights[name].requires_grad}
        taught |= {name for name in graded - taught - found.leaks if weights[name].grad.any()}
        still = {name: weight.detach().clone() for name, weight in weights.items() if not weight.requires_grad}
        optimizer.step()
        found.leaks |= {name for name, value in still.items() if not torch.equal(value, weights[name])}
    for name, alive in found.alive.items():
        stage, _, term = name.partition("/")
        found.alive[name] = alive or (stage == method.stage.name and _wakes(method, found.seen, term))
    for path, net in frozen(method):
        found.teachers.setdefault(path, set()).update(_fate(method, net, before.get(path)))


def _wakes(method, seen, term):
    """Whether a term that waits for what a method remembers, outside its networks, teaches if that were different."""
    inside = {id(buffer) for net in networks(method) for buffer in net.buffers()}
    memory = [buffer for buffer in method.buffers() if id(buffer) not in inside and buffer.is_floating_point()]
    before = {name: value.clone() for name, value in method.state_dict().items()}
    learning = [weight for weight in method.parameters() if weight.requires_grad]
    found = False
    for number in range(20 if memory else 0):
        torch.manual_seed(number)
        with torch.no_grad():
            for weight in learning:
                weight.add_(0.1 * torch.randn_like(weight))
            for buffer in memory:
                buffer.fill_((0.0, 1e3)[number % 2])
        found = found or reaches(method(seen, 0.9)[term], learning)
    method.load_state_dict(before)
    return found


def _fate(method, teacher, before):
    weights = clone(teacher)
    fate = {"zero"} if any(bool((value == 0).all()) and value.ndim > 1 for value in weights.values()) else set()
    if before is not None and any(not torch.equal(value, before[name]) for name, value in weights.items()):
        fate.add("moved")
    for student in networks(method):
        other = clone(student)
        if student is not teacher and other.keys() == weights.keys():
            fate |= {"student"} if all(torch.equal(value, other[name]) for name, value in weights.items()) else set()
    return fate


def lifeless(found):
    """What is wrong with a training's teachers, in words; nothing where there are none."""
    wrong = []
    for path, fate in found.teachers.items():
        wrong += [f"{path} never moves"] if "moved" not in fate else []
        wrong += [f"{path} is {fault}" for fault in sorted(fate - {"moved"})]
    return wrong
