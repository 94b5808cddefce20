"""From the host to a device, without waiting for what the device still has to do."""

from collections.abc import Mapping

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; the host goes on at once, and torch keeps its copy until it has arrived."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def sent_together(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Small tensors of one type on the device, in one copy; on the host they are left as they are."""
    if device.type == "cpu":
        return dict(tensors)
    return apart(sent(joined(tensors), device), tensors)


def joined(tensors: Mapping[str, Tensor]) -> Tensor:
    """The numbers of all, one after the other. Shape: (n,)."""
    return torch.cat([tensor.flatten() for tensor in tensors.values()])


def apart(flat: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `joined`, as views, given what was joined."""
    parts = torch.split(flat, [tensor.numel() for tensor in like.values()])
    return {name: part.view(tensor.shape) for part, (name, tensor) in zip(parts, like.items(), strict=True)}
