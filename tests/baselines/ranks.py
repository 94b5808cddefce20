"""Two processes that share a batch, and one that has it alone: what `test_gates_ranks.py` starts."""

import datetime
import json
import traceback
from pathlib import Path

import torch
import torch.distributed
from gates import batch_of, make, rows, stages_of
from torch.nn.parallel import DistributedDataParallel

from baselines.method import find
from converters.errors import BenchError

STEPS, CLOSE = 2, 1e-5


def compare(rank, names, folder):
    """For each method, in `folder/<rank>.json`: which comparisons held (see `_one`), or the error."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=2,
        timeout=datetime.timedelta(seconds=60),
    )
    found = {}
    for name in names:
        try:
            found[name] = _one(name, rank)
        except Exception:  # the other rank meets the same one: tell it, and go on
            found[name] = {"error": traceback.format_exc()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def _one(name, rank):
    """Largest difference of any weight or float buffer between two ranks and one process, by what a rank is given.

    "copies": both the same samples, and the one process these once. "doubled": the same, and the one process has both
    copies; only where no random number is drawn. "halves": each rank other samples, and the one process all of them;
    only where each term is the mean of its terms over the halves, and labels are not drawn anew.
    """
    cls = find(name)
    whole = batch_of(cls, unit=4)
    half = rows(whole, slice(0, None, 2))
    twice = rows(half, [n for n in range(len(half.annotated)) for _ in range(2)])
    found = {"copies": _apart(_learnt(name, half, ranks=2), _learnt(name, half))}
    if _norm(name) == "group" and not _draws(name, half):
        found["doubled"] = _apart(_learnt(name, twice, rank, ranks=2), _learnt(name, twice))
        if not any(stage.relabel for stage in cls.stages) and _is_mean(name, whole):
            found["halves"] = _apart(_learnt(name, whole, rank, ranks=2), _learnt(name, whole))
    return found


def _norm(name):
    """Of a network of smp nobody can say it: there, both ranks have the same statistics where they have copies."""
    try:
        make(name, norm="group")
    except BenchError:
        return "batch"
    return "group"


def _learnt(name, seen, part=None, ranks=1):
    """State after a few steps of every stage, alone or as one of several ranks, on all of a batch or on a part."""
    method = make(name, norm=_norm(name)).train()
    for _, labels in stages_of(method, seen):
        model = DistributedDataParallel(method) if ranks > 1 else method
        optimizer = torch.optim.SGD(method.parameter_groups(), 0.05)
        mine = labels if part is None else labels.part(part, ranks)
        for step in range(STEPS):
            torch.manual_seed(step)
            optimizer.zero_grad()
            sum(model(mine, 0.5 + step / 10).values()).backward()
            optimizer.step()
            method.after_step(step)
    return {path: value.detach().clone() for path, value in method.state_dict().items() if value.is_floating_point()}


def _apart(some, others):
    return max(float((value - others[path]).abs().max()) for path, value in some.items())


def _draws(name, seen):
    """Whether it draws random numbers."""
    method = make(name, norm="group").train()
    method.enter(method.stages[-1])
    before = torch.get_rng_state()
    method(seen, 0.5)
    return not torch.equal(before, torch.get_rng_state())


def _is_mean(name, seen):
    method = make(name, norm="group").train()
    method.enter(method.stages[-1])
    whole = method(seen, 0.5)
    parts = [method(seen.part(number, 2), 0.5) for number in range(2)]
    return all(abs(float(whole[term] - (parts[0][term] + parts[1][term]) / 2)) < 1e-6 for term in whole)
