"""What to do, and to say, where a batch does not fit into memory."""

import os
import re

import torch

from baselines.config import TrainConfig
from converters.errors import BenchError


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch found no memory, on a GPU or on the host; a compiled network wraps the error in one of its own."""
    told = ("can't allocate memory", "CUDA out of memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in told)


def too_large(error: RuntimeError, config: TrainConfig, parts: int, device: torch.device) -> BenchError:
    """What was asked of which memory, and what takes less."""
    if device.type == "cuda":
        size = torch.cuda.get_device_properties(device).total_memory
    else:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = re.search(r"tried to allocate ([\d.]+ ?\w+)", str(error), re.IGNORECASE)
    smaller = "lower train.batch or train.patch"
    return BenchError(
        f"a batch of {config.batch} samples of {list(config.patch)} in {parts} part{'s' * (parts > 1)} "
        "does not fit into memory",
        where=f"{device} with {size / 2**30:.1f} GiB{f', {wanted[1]} more asked for' if wanted else ''}",
        mend=smaller
        if config.accumulate == "auto"
        else f"--auto-batch or --set train.accumulate=auto takes a batch in parts; or {smaller}",
    )
