"""Torch and what it was built for, the GPU and its driver, processor, memory, shared memory."""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from bench.doctor import version
from bench.finding import Finding

LEAST_MEMORY_GIB = 2.0  # a small training in 2D, its libraries included
LEAST_SHARED_GIB = 0.25  # containers have 1/16 GiB unless asked for more
LEAST_GPU_GIB = 1.0
_PROC, _CGROUP, _SHARED = Path("/proc"), Path("/sys/fs/cgroup"), Path("/dev/shm")


class Card(NamedTuple):
    """A GPU that torch sees."""

    name: str
    total_gib: float
    free_gib: float
    capability: tuple[int, int]


class Cuda(NamedTuple):
    """What there is to know of GPUs."""

    built: str | None  # the CUDA that torch was built for; None: for the CPU
    archs: tuple[str, ...]  # sm_80 ...: what its kernels were compiled for
    cards: tuple[Card, ...]
    driver: str | None  # version of NVIDIA's kernel module
    devices: bool  # whether device files are there
    hidden: str | None  # CUDA_VISIBLE_DEVICES, where that hides all
    said: str = ""  # why CUDA could not be started


def examine() -> Iterator[Finding]:
    """Each finding as soon as it is known. Imports torch."""
    asked = metadata.requires("torchvision") if version("torchvision") else None
    yield pairing(version("torch"), version("torchvision"), asked or [])
    broken = imports()
    yield broken
    if broken.ok:
        yield from gpus(_cuda())
        yield processor()
    yield memory(_meminfo(), _limit())
    yield shared()


def pairing(torch: str | None, torchvision: str | None, requirements: list[str]) -> Finding:
    """Whether torchvision was built for this torch; else the line that mends it.

    Args:
        torch: installed version.
        torchvision: installed version.
        requirements: what torchvision's metadata asks for, such as `torch==2.6.0`.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    name = "torch and torchvision"
    if torchvision is None or torch is None:
        lacks = "torch" if torch is None else "torchvision"
        return Finding(name, f"no {lacks}", False, True, f"pip install {lacks}")
    value = f"{torch} and {torchvision}"
    for line in requirements:
        with contextlib.suppress(InvalidRequirement):
            asked = Requirement(line)
            if asked.name == "torch" and not asked.specifier.contains(torch, prereleases=True):
                value += f", which was built for torch{asked.specifier}"
                return Finding(name, value, False, True, f'pip install "torch{asked.specifier}"')
    return Finding(name, value, True, True)


def imports() -> Finding:
    """Whether both can be imported: the compiled part of torchvision must fit torch's, down to the build."""
    try:
        import torch
        import torchvision
    except (ImportError, RuntimeError, OSError) as error:
        mend = f'pip install --force-reinstall "torch=={version("torch")}" torchvision' if version("torch") else ""
        said = str(error).strip().partition("\n")[0]
        return Finding("torch import", said, False, True, mend or "pip install torch torchvision")
    value = f"torch {torch.__version__}, torchvision {torchvision.__version__}, {torch.get_num_threads()} threads"
    return Finding("torch import", value, True, True)


def gpus(cuda: Cuda) -> Iterator[Finding]:
    """A finding for each GPU, or why there is none; no GPU is no fault."""
    for index, card in enumerate(cuda.cards):
        yield _card(index, card, cuda)
    if cuda.cards:
        return
    there = cuda.driver is not None or cuda.devices
    driver = f"driver {cuda.driver or 'unknown'}"
    if not there:
        yield Finding("gpu", "none: preset cpu is taken")
    elif cuda.hidden is not None:
        yield Finding("gpu", f"hidden by CUDA_VISIBLE_DEVICES='{cuda.hidden}' ({driver})", mend="unset it to use it")
    elif cuda.built is None:
        mend = "pip install --force-reinstall torch torchvision, not from an index of CPU builds"
        yield Finding("gpu", f"there is one ({driver}), but torch was built for the CPU", False, mend=mend)
    elif not cuda.devices:
        mend = "in a container: start it with its GPUs (--gpus all); else load the driver (nvidia-smi)"
        yield Finding("gpu", f"{driver}, but no device file /dev/nvidia0", False, mend=mend)
    else:
        mend = f"update the driver to one for CUDA {cuda.built}, or install a torch built for an older CUDA"
        told = f"{driver} and torch for CUDA {cuda.built} do not work together{f': {cuda.said}' if cuda.said else ''}"
        yield Finding("gpu", told, False, mend=mend)


def _card(index: int, card: Card, cuda: Cuda) -> Finding:
    name, driver = f"gpu cuda:{index}", f", driver {cuda.driver}" if cuda.driver else ""
    value = f"{card.name}, {card.total_gib:.0f} GiB, {card.free_gib:.1f} free, CUDA {cuda.built}{driver}"
    if not _runs_on(card.capability, cuda.archs):
        newest = ", ".join(cuda.archs)
        mend = f"--device cpu, or a torch whose kernels are for sm_{card.capability[0]}{card.capability[1]}"
        return Finding(name, f"{value}; this torch has kernels for {newest} alone", False, mend=mend)
    if card.free_gib < LEAST_GPU_GIB:
        return Finding(name, value, False, mend="nvidia-smi lists the processes that hold its memory")
    return Finding(name, value, True)


def _runs_on(capability: tuple[int, int], archs: tuple[str, ...]) -> bool:
    """Kernels run on cards of their major version from their minor one on, and what is kept as PTX on later ones."""
    for kind, _, number in (arch.partition("_") for arch in archs):
        digits = number.rstrip("af")
        major, minor = int(digits[:-1]), int(digits[-1])
        if (major == capability[0] and minor <= capability[1]) or (kind == "compute" and (major, minor) <= capability):
            return True
    return not archs


def _cuda() -> Cuda:
    import torch

    from baselines.device import driver

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cards = []
    for index in range(count):
        facts = torch.cuda.get_device_properties(index)
        free = torch.cuda.mem_get_info(index)[0] / 2**30
        cards.append(Card(facts.name, facts.total_memory / 2**30, free, (facts.major, facts.minor)))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return Cuda(
        built=torch.version.cuda,
        archs=tuple(torch.cuda.get_arch_list()),
        cards=tuple(cards),
        driver=driver(),
        devices=Path("/dev/nvidia0").exists(),
        hidden=visible if visible is not None and visible.strip() in ("", "-1", "NoDevFiles") else None,
        said=str(caught[-1].message).partition("\n")[0] if caught else "",
    )


def processor() -> Finding:
    """Cores this process may use, and whether the CPU multiplies bfloat16 in hardware."""
    from baselines.device import fast_bf16
    from leaderboards.facts import machine_facts

    facts = machine_facts()
    quick = "bf16 in hardware" if fast_bf16() else "no bf16 in hardware: fp32 is taken"
    return Finding("processor", f"{facts['cpu']}, {facts['cores']} cores, {quick}")


def memory(gib: Mapping[str, float], limit: tuple[float, float] | None) -> Finding:
    """Memory of the machine, and what is left of it.

    Args:
        gib: fields of /proc/meminfo.
        limit: what the control group may have, and has; None: all there is.
    """
    if "MemAvailable" not in gib:
        return Finding("memory", "unknown")
    total, left = gib["MemTotal"], gib["MemAvailable"]
    value = f"{total:.1f} GiB, {left:.1f} available"
    if limit is not None and limit[0] < total:
        left = min(left, limit[0] - limit[1])
        value = f"{limit[0]:.1f} of {total:.1f} GiB allowed here, {max(0.0, left):.1f} available"
    if left < LEAST_MEMORY_GIB:
        mend = (
            "end other programs or raise the limit; bench run --auto-batch, --cache FOLDER and fewer --jobs take less"
        )
        return Finding("memory", value, False, mend=mend)
    return Finding("memory", value, True)


def _meminfo() -> dict[str, float]:
    fields = {}
    with contextlib.suppress(OSError):
        for line in (_PROC / "meminfo").read_text(encoding="utf-8").splitlines():
            name, _, amount = line.partition(":")
            fields[name] = int(amount.split()[0]) / 2**20
    return fields


def _limit() -> tuple[float, float] | None:
    """What a control group allows and has, in GiB, without the files that it can forget: version 2, else 1."""
    files = (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    )
    for most, now, statistics, files_kept in files:
        with contextlib.suppress(OSError, ValueError):  # ValueError: "max"
            limit, has = (int((_CGROUP / name).read_text(encoding="utf-8")) for name in (most, now))
            lines = (_CGROUP / statistics).read_text(encoding="utf-8").splitlines()
            kept = sum(int(line.split()[1]) for line in lines if line.split()[0] == files_kept)
            return limit / 2**30, (has - kept) / 2**30
    return None


def shared() -> Finding:
    """Shared memory, which Ray and the processes of one run on several GPUs exchange data in."""
    if not _SHARED.is_dir():
        return Finding("shared memory", "none: Ray and several GPUs may not work")
    usage = shutil.disk_usage(_SHARED)
    value = f"{usage.total / 2**30:.2f} GiB, {usage.free / 2**30:.2f} free"
    if usage.free / 2**30 < LEAST_SHARED_GIB:
        mend = f"in a container: start it with --shm-size 1g; else free some of {_SHARED}"
        return Finding("shared memory", value, False, mend=mend)
    return Finding("shared memory", value, True)
