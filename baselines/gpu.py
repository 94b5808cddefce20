"""What the driver says of a GPU: its energy counter and the memory this process holds. Needs the extra [gpu].

Nothing here raises: without the library, without the right, or on a GPU that does not tell, a number is None.
"""

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

import torch

T = TypeVar("T")


class Gpu:
    """One GPU as NVML (nvidia-ml-py) sees it; every number is None on a CPU or without the library."""

    def __init__(self, device: torch.device) -> None:
        self._nvml = nvml = _library() if device.type == "cuda" else None
        self._handle = None if nvml is None else _asked(lambda: _handle(nvml, device))

    def energy_j(self) -> float | None:
        """Joules the whole GPU has taken since its driver was loaded: only a difference means something.

        Volta and newer.
        """
        nvml, handle = self._nvml, self._handle
        if nvml is None or handle is None:
            return None
        found = _asked(lambda: float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
        return None if found is None else found / 1000  # the counter is in mJ

    def process_mib(self) -> float | None:
        """Memory of the GPU that this process holds now: tensors, cached blocks, context and libraries.

        None as well where the driver knows this process by another id, as it does in many containers.
        """
        nvml, handle = self._nvml, self._handle
        if nvml is None or handle is None:
            return None

        def held() -> list[int | None]:
            running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            return [process.usedGpuMemory for process in running if process.pid == os.getpid()]

        sizes = [size for size in _asked(held) or [] if size is not None]
        return sum(sizes) / 2**20 if sizes else None


def _library() -> ModuleType | None:
    def load() -> ModuleType:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        return nvml

    return _asked(load)


def _handle(nvml: ModuleType, device: torch.device) -> object:
    """By the unique id: the driver's numbering is not that of CUDA_VISIBLE_DEVICES."""
    name = str(torch.cuda.get_device_properties(device).uuid)
    return nvml.nvmlDeviceGetHandleByUUID(name if name.startswith(("GPU-", "MIG-")) else f"GPU-{name}")


def _asked(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except Exception:  # a run does not end because its meter has no answer
        return None
