"""Two processes that share each batch: what `test_gates_ranks.py` starts, and what it compares them with."""

import dataclasses
import datetime
import os
import signal
from pathlib import Path

import torch
import torch.distributed
from gates import batch, batch_of, make, stages_of
from views import hide, strokes

from baselines import loop, ranks
from baselines.config import AugmentConfig, NetConfig, TrainConfig
from baselines.method import find
from baselines.ranks_net import averaging, share
from baselines.train import Setting, train
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError

STEPS = 2
GROUP = NetConfig(widths=(4, 8), dropout=(0.0, 0.0), norm="group")
SMALL = TrainConfig(net=GROUP, steps=20, batch=4, patch=(16, 16), deterministic=True, checkpoint_every=10)
STOPPED = "stopped"  # of TRAININGS, the one that is asked to stop on the way, by a signal to one rank


def training(**changes):
    """A recipe of twenty steps."""
    return TrainConfig(**{**{name: getattr(SMALL, name) for name in TrainConfig.__struct_fields__}, **changes})


# Every training is made by two ranks and by one process; the view is half annotated, or has strokes.
TRAININGS = {
    "supervised": training(),
    "mean_teacher": training(method="mean_teacher"),
    "parts": training(method="mean_teacher", batch=8, accumulate=2, steps=4),
    "moved": training(method="supervised", augment=AugmentConfig(elastic=0.1, flip=True, quarter_turns=True), steps=4),
    "batch norm, dropout": training(method="mean_teacher", net=NetConfig(widths=(4, 8), dropout=(0.1, 0.5)), steps=4),
    "stages": training(method="scribble2label", steps=10),
    STOPPED: training(method="mean_teacher"),
}


def both(rank, names, root, folder):
    """All of it, by one of two ranks, each in a file of its own."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2, timeout=datetime.timedelta(seconds=60)
    )
    loop.LOG_EVERY = 1
    for name in names:
        learn(name, Path(folder) / f"{name}-{rank}.pt")
    for name in TRAININGS:
        train_one(name, root, Path(folder) / "pair" / name, interrupt=rank == 1 and name == STOPPED)
    torch.distributed.destroy_process_group()


def learn(name, out):
    """What is learnt from each of `batches`, by this process or by the ranks of which it is one."""
    torch.save({kind: _learnt(name, seen) for kind, seen in batches(name).items()}, out)


def train_one(name, root, out, *, interrupt=False):
    """One of `TRAININGS`; where its name says so, until a signal comes: to this process, if `interrupt`."""
    whole = Dataset.load(Path(root))
    view = strokes(whole, "scribble-expert") if name == "stages" else hide(whole, whole.subjects[:2])

    def ask(done, steps):
        if interrupt and done == 7:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        return train(view, TRAININGS[name], out, Setting(progress=ask))
    except KeyboardInterrupt:
        assert name == STOPPED


def batches(name):
    """As a method is tried on one, and two of which ranks have unlike shares: a crop of them shows no stroke."""
    cls = find(name)
    found = {"even": batch_of(cls, unit=4)}
    if name == "supervised" or ("unlabelled" in cls.composition and not _draws(name)):
        found["uneven"] = _empty(found["even"], 0)  # of the first rank
        found["one pool"] = _empty(batch(annotated=4, unannotated=0), 1)  # of the second; the first has none
    return found


def _empty(seen, row):
    target, annotated = seen.target.clone(), list(seen.annotated)
    target[row], annotated[row] = IGNORE, False
    return dataclasses.replace(seen, target=target, annotated=tuple(annotated))


def _learnt(name, seen):
    """State after a few steps of every stage, on all of a batch or, as one of two ranks, on its half."""
    method = make(name, norm=_norm(name)).train()
    for part in method.modules():  # a kind of dropout that smp's transformers draw for the samples they have
        if hasattr(part, "drop_prob"):
            part.drop_prob = 0.0
    share(method, torch.device("cpu"))
    for _, labels in stages_of(method, seen):
        model = averaging(method, SMALL)
        optimizer = torch.optim.SGD(method.parameter_groups(), 0.05)
        mine = labels.part(ranks.rank(), ranks.count())
        others = [labels.part(other, ranks.count()) for other in range(ranks.count()) if other != ranks.rank()]
        mine = dataclasses.replace(mine, elsewhere=tuple(one for other in others for one in other.annotated))
        for step in range(STEPS):
            torch.manual_seed(step)
            optimizer.zero_grad()
            sum(model(mine, 0.5 + step / 10).values()).backward()
            optimizer.step()
            method.after_step(step)
    return {path: value.detach().clone() for path, value in method.state_dict().items() if value.is_floating_point()}


def _norm(name):
    """Of a network of smp nobody can say it: there, ranks share statistics."""
    try:
        make(name, norm="group")
    except BenchError:
        return "batch"
    return "group"


def _draws(name):
    """Whether it draws random numbers: what is drawn for a pool goes by its share, and needs shares that are alike."""
    method = make(name, norm=_norm(name)).train()
    method.enter(method.stages[-1])
    before = torch.get_rng_state()
    method(batch_of(type(method), unit=4), 0.5)
    return not torch.equal(before, torch.get_rng_state())
