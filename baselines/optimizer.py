"""TrainConfig -> optimiser, and its learning rate over the steps."""

import torch

from baselines.config import TrainConfig
from baselines.method import Method


def make_optimizer(method: Method, config: TrainConfig, device: torch.device) -> torch.optim.Optimizer:
    """SGD or AdamW over the method's groups; each keeps its own rate as `base_lr` and its own `clip`.

    On a GPU one kernel moves all weights of a group; on a CPU torch's plain loop does, whose bits records know.
    """
    groups = [{"lr": config.lr, "clip": config.clip, **group} for group in method.parameter_groups()]
    groups = [{**group, "base_lr": group["lr"]} for group in groups]
    fused = True if device.type == "cuda" else None
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            groups, config.lr, momentum=config.momentum, weight_decay=config.weight_decay, fused=fused
        )
    return torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay, fused=fused)


def update(optimizer: torch.optim.Optimizer, step: int, config: TrainConfig) -> None:
    """Set the rate of this step, clip where that was asked for, and move the weights."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * schedule(step, config)
        if group["clip"]:
            torch.nn.utils.clip_grad_norm_(group["params"], group["clip"])
    optimizer.step()


def schedule(step: int, config: TrainConfig) -> float:
    """Factor on the learning rate: linear warm-up, then poly."""
    ramp = min(1.0, (step + 1) / (config.warmup * config.steps)) if config.warmup else 1.0
    return float(ramp * (1 - step / config.steps) ** config.power)
