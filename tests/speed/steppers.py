"""One training step of the same network from the same weights: the real loop, and the peers' loops as they write them.

Each is given a network (`NETS`) and gives an endless iterator; each `next` is a step. What is made once (data, network,
optimiser) is not timed. `python tests/speed/steppers.py CONTENDER NETWORK` prints the peak memory of two steps, in MiB,
above that of a fresh process that has loaded every library and not yet made a network: libraries are not the loop's.
"""

import copy
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from limits import HILAB, RESNET
from memory import extra_mib
from torch import nn
from torch.utils.data import DataLoader

from baselines.augment import augment
from baselines.cache import Prepared, foreground
from baselines.config import NetConfig, NetSpec, TrainConfig
from baselines.device import fast_bf16
from baselines.feed import on_host
from baselines.lean import MaxPool2d
from baselines.loop import Loop
from baselines.model import ModelSpec, make_method
from baselines.optimizer import make_optimizer
from baselines.sampler import Sampler
from baselines.unet import Block
from converters.dataset import IGNORE

BATCH, EDGE, CLASSES, THREADS = 8, 256, 4, 2
CPU = torch.device("cpu")
TORCHS = {Block: nn.Sequential, MaxPool2d: nn.MaxPool2d}  # what ours keep less than
NETS = {HILAB: NetConfig(arch="unet"), RESNET: NetConfig(arch="Unet", encoder="resnet34")}


def config(net: str, method: str = "supervised") -> TrainConfig:
    """The CPU's recipe: bfloat16 where the processor has it, channels last."""
    return TrainConfig(
        method=method,
        net=NETS[net],
        steps=100_000,
        batch=BATCH,
        patch=(EDGE, EDGE),
        precision="bf16" if fast_bf16() else "fp32",
        threads=THREADS,
    )


def method_of(made: TrainConfig):
    """A method from one seed: equal weights for every contender."""
    net = NetSpec(
        config=made.net,
        in_channels=1,
        classes=CLASSES,
        patch=made.patch,
        spacing=(1.0, 1.0),
        precision=made.precision,
        channels_last=made.channels_last,
    )
    labels = {f"label {k}": k for k in range(CLASSES)}
    torch.manual_seed(0)
    return make_method(ModelSpec(config=made, net=net, channels=("mr",), labels=labels, seed=0))


def body_of(net: str) -> torch.nn.Module:
    """The network alone, as anybody would build it: float32, torch's own layout and layers."""
    body = method_of(config(net)).net.body
    alone = copy.deepcopy(body).to(memory_format=torch.contiguous_format).train()
    for layer in alone.modules():
        layer.__class__ = TORCHS.get(type(layer), type(layer))
    alone.register_forward_hook(lambda module, given, scales: scales[0])  # logits, not a list of one scale
    return alone


def cases() -> list[Prepared]:
    """Four made-up cases of 12 slices, one of them without a label."""
    made = []
    for k in range(4):
        rng = np.random.default_rng(k)
        target = np.zeros((12, EDGE, EDGE), np.uint8)
        for code in range(1, CLASSES):
            target[:, 50 * code : 50 * code + 40, 60 : 160 + 10 * k] = code
        image = (target + rng.normal(0, 0.5, target.shape)).astype(np.float16)[None]
        target = np.full_like(target, IGNORE) if k == 3 else target
        made.append(Prepared(f"c{k}", image, target, foreground(target), k != 3))
    return made


def ours(net: str, method: str = "supervised") -> Iterator[object]:
    """`Loop`, with the sampler, its thread and all of the default augmentation."""
    made = config(net, method)
    learner = method_of(made)
    loop = Loop(learner, make_optimizer(learner, made, CPU), cases(), made, seed=0, device=CPU, parts=1)
    with tempfile.TemporaryDirectory() as folder:
        yield from loop.steps(0, Path(folder) / "log.jsonl")


def mean_teacher(net: str) -> Iterator[object]:
    """Two networks, half of the batch without labels."""
    return ours(net, "mean_teacher")


def _slices() -> list[dict[str, torch.Tensor]]:
    """Labelled slices in memory as the peers want them: float32 image, one-hot label; nothing is augmented."""
    found = []
    for case in cases()[:3]:
        for image, target in zip(case.image[0], case.target, strict=True):
            one_hot = torch.nn.functional.one_hot(torch.from_numpy(target).long(), CLASSES).movedim(-1, 0)
            found.append({"image": torch.from_numpy(image.astype(np.float32))[None], "label_prob": one_hot.float()})
    return found


def plain(net: str) -> Iterator[object]:
    """The loop of torch's tutorials: DataLoader, cross-entropy and soft Dice, SGD, all in float32."""
    body = body_of(net)
    optimizer = torch.optim.SGD(body.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    loader = DataLoader(_slices(), BATCH, shuffle=True, drop_last=True)
    for batch in itertools.chain.from_iterable(itertools.repeat(loader)):
        target = batch["label_prob"]
        optimizer.zero_grad()
        logits = body(batch["image"])
        p = logits.softmax(1)
        dice = (2 * (p * target).sum((0, 2, 3)) + 1e-5) / ((p + target).sum((0, 2, 3)) + 1e-5)
        loss = torch.nn.functional.cross_entropy(logits, target.argmax(1)) + 1 - dice.mean()
        loss.backward()
        optimizer.step()
        yield loss.item()


def _agents():
    needs = "needs the extra [peers]; later PyMIC cannot be imported without packages it does not name"
    return pytest.importorskip("pymic.net_run.agent_seg", reason=needs, exc_type=ImportError)


def pymic(net: str) -> Iterator[object]:
    """PyMIC's own agent: its `training`, losses, SGD and loader, with the network it is handed."""
    agents = _agents()
    settings = {
        "dataset": {"tensor_type": "float", "task_type": "seg", "train_batch_size": BATCH, "num_worker": 0},
        "network": {"net_type": "UNet2D", "class_num": CLASSES},
        "training": {
            "loss_type": ["CrossEntropyLoss", "DiceLoss"],
            "loss_weight": [0.5, 0.5],
            "optimizer": "SGD",
            "learning_rate": 0.01,
            "momentum": 0.9,
            "weight_decay": 1e-4,
            "lr_scheduler": None,
            "iter_valid": 1,
            "deterministic": False,
        },
    }
    agent = agents.SegmentationAgent(settings, "train")
    slices = _slices()
    agent.set_datasets(slices, slices[:1], None)
    agent.create_dataset()
    agent.set_network(body_of(net))
    agent.create_network()
    agent.device = CPU
    agent.create_optimizer(agent.get_parameters_to_update())
    agent.create_loss_calculator()
    agent.trainIter = iter(agent.train_loader)
    while True:
        yield agent.training()["loss"]


def sampling(net: str) -> Iterator[object]:
    """What the sampler's thread does for a step: draw, gather."""
    sampler = Sampler(cases(), config(net), {"labelled": 1}, 0)
    for step in itertools.count():
        yield on_host(sampler(step))


def augmenting(net: str) -> Iterator[object]:
    """Draw, gather and augment."""
    made = config(net)
    for step, loaded in enumerate(sampling(net)):
        yield augment(loaded, made.augment, torch.Generator().manual_seed(step))


STEPPERS = {
    "ours": (
        ours,
        "the loop of `bench train`: sampler, augmentation, channels last, bfloat16 where there is hardware",
    ),
    "PyMIC": (pymic, "SegmentationAgent.training with its losses, SGD and DataLoader; slices in memory, not augmented"),
    "plain fp32 loop": (plain, "zero_grad, forward, loss, backward, step; slices in memory, not augmented"),
    "ours, mean teacher": (mean_teacher, "the same loop with two networks, half of the batch unlabelled"),
    "the sampler alone": (sampling, "draw and gather a batch; in a training this runs beside the step"),
    "sampler and augmentation": (augmenting, "draw, gather, augment"),
}
MEASURED = ("ours", "PyMIC", "plain fp32 loop", "ours, mean teacher")

if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    method_of(config(sys.argv[2]))
    if sys.argv[1] == "PyMIC":
        _agents()
    step = STEPPERS[sys.argv[1]][0](sys.argv[2])
    print(f"{extra_mib(lambda: (next(step), next(step))):.0f}")  # noqa: T201
