"""What to do, and to say, where a batch does not fit into memory."""

import os
import re

import torch

from baselines.config import TrainConfig
from baselines.host import own_peak_mib
from converters.errors import RunFault, no_memory


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch found no memory, on a GPU or on the host; a compiled network wraps the error in one of its own."""
    return isinstance(error, torch.OutOfMemoryError) or no_memory(error)


def too_large(error: RuntimeError, config: TrainConfig, parts: int, device: torch.device) -> RunFault:
    """What was asked of which memory, how much of it was in use, and what takes less."""
    if device.type == "cuda":
        size = torch.cuda.get_device_properties(device).total_memory
        peak = torch.cuda.max_memory_allocated(device) / 2**30
    else:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        peak = own_peak_mib() / 2**10
    wanted = re.search(r"tried to allocate ([\d.]+ ?\w+)", str(error), re.IGNORECASE)
    half = f", say {config.batch // 2}," if config.batch > 1 else ""
    smaller = f"lower train.batch{half} or train.patch"
    return RunFault(
        f"oom: a batch of {config.batch} samples of {list(config.patch)} in {parts} part{'s' * (parts > 1)} "
        f"does not fit into memory; {smaller}",
        where=f"{device} with {size / 2**30:.1f} GiB, of which {peak:.1f} GiB were in use at most"
        f"{f', {wanted[1]} more asked for' if wanted else ''}",
        mend=smaller
        if config.accumulate == "auto"
        else f"--auto-batch or --set train.accumulate=auto takes a batch in parts; or {smaller}",
    )
