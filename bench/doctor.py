"""What this machine has and lacks: findings, each with what to do about it."""

import contextlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import msgspec

LEAST_PYTHON = (3, 11)
LEAST_FREE_GIB = 2.0  # a converted ACDC, its cache and one run


class Finding(msgspec.Struct):
    """One thing that was looked at. `ok` None: a fact without a verdict."""

    name: str
    value: str
    ok: bool | None = None
    required: bool = False
    mend: str = ""


def examine(data: Path, runs: Path) -> Iterator[Finding]:
    """Everything that is looked at, in order; each finding comes as soon as it is known."""
    yield python()
    yield packages()
    yield from torch_and_device()
    yield processor()
    yield memory()
    yield disk(runs)
    yield writable(runs)
    yield found(data)


def python() -> Finding:
    """The interpreter."""
    at_least = ".".join(map(str, LEAST_PYTHON))
    mend = f"use Python {at_least} or newer"
    return Finding("python", platform.python_version(), sys.version_info >= LEAST_PYTHON, True, mend)


def packages() -> Finding:
    """Whether everything that frugalseg needs is installed."""
    wanted = [line for line in metadata.requires("frugalseg") or [] if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line)[0] for line in wanted]
    absent = [name for name in names if version(name) is None]
    if absent:
        return Finding("packages", f"absent: {', '.join(absent)}", False, True, f"pip install {' '.join(absent)}")
    return Finding("packages", f"{len(names)} of {len(names)} installed", True, True)


def version(package: str) -> str | None:
    """The installed version without its build tag (`+cpu`), or None."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package).partition("+")[0]
    return None


def pairing(torch: str | None, torchvision: str | None, requirements: list[str]) -> Finding:
    """Whether torchvision was built for this torch; else the line that mends it.

    Args:
        torch: installed version.
        torchvision: installed version.
        requirements: what torchvision's metadata asks for, such as `torch==2.6.0`.
    """
    if torchvision is None or torch is None:
        lacks = "torch" if torch is None else "torchvision"
        return Finding("torch and torchvision", f"no {lacks}", False, True, f"pip install {lacks}")
    pins = [match[1] for line in requirements if (match := re.match(r"torch\s*==\s*([\w.]+)", line))]
    value = f"{torch} and {torchvision}"
    if pins and pins[0] != torch:
        value += f", which was built for torch {pins[0]}"
        return Finding("torch and torchvision", value, False, True, f'pip install "torch=={pins[0]}"')
    return Finding("torch and torchvision", value, True, True)


def torch_and_device() -> Iterator[Finding]:
    """Torch, its threads, and the GPU. Imports torch."""
    asked = metadata.requires("torchvision") if version("torchvision") else None
    yield pairing(version("torch"), version("torchvision"), asked or [])
    try:
        import torch
        import torchvision  # noqa: F401  # its compiled part must fit torch's
    except (ImportError, RuntimeError, OSError) as error:
        mend = "pip install --force-reinstall torch torchvision"
        yield Finding("torch import", str(error).partition("\n")[0], False, True, mend)
        return
    yield Finding("torch threads", str(torch.get_num_threads()))
    if not torch.cuda.is_available():
        built = torch.version.cuda
        yield Finding(
            "gpu", f"none usable (torch built for {f'CUDA {built}' if built else 'the CPU'}): preset cpu is taken"
        )
        return
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        free = torch.cuda.mem_get_info(index)[0] / 2**30
        value = f"{device.name}, {device.total_memory / 2**30:.0f} GiB, {free:.0f} free, CUDA {torch.version.cuda}"
        yield Finding(f"gpu cuda:{index}", value, True)


def processor() -> Finding:
    """Cores this process may use, and whether the CPU multiplies bfloat16 in hardware."""
    from leaderboards.facts import machine_facts

    facts = machine_facts()
    try:
        from baselines.device import fast_bf16

        quick = "bf16 in hardware" if fast_bf16() else "no bf16 in hardware: fp32 is taken"
    except (ImportError, RuntimeError, OSError):  # a broken torch has its own finding
        quick = "bf16 unknown"
    return Finding("processor", f"{facts['cpu']}, {facts['cores']} cores, {quick}")


def memory() -> Finding:
    """Memory of the machine and what is left of it."""
    fields = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            name, _, amount = line.partition(":")
            fields[name] = int(amount.split()[0]) / 2**20
    if "MemAvailable" not in fields:
        return Finding("memory", "unknown")
    return Finding("memory", f"{fields['MemTotal']:.1f} GiB, {fields['MemAvailable']:.1f} available")


def disk(folder: Path) -> Finding:
    """Free space and files where a folder is or would be."""
    there = _nearest(folder)
    free = shutil.disk_usage(there).free / 2**30
    nodes = os.statvfs(there).f_favail if hasattr(os, "statvfs") else 0
    value = f"{free:.1f} GiB free" + (f", {nodes} files" if nodes else "")
    mend = f"make room, at least {LEAST_FREE_GIB:.0f} GiB, or name another folder"
    return Finding(f"disk of {folder}", value, free >= LEAST_FREE_GIB, True, mend)


def writable(folder: Path) -> Finding:
    """Whether a file can be written whole and moved into place."""
    from converters.files import replacing

    probe = _nearest(folder) / ".frugalseg-probe"
    name = f"write to {folder}"
    try:
        with replacing(probe) as temporary:
            temporary.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        return Finding(name, error.strerror or str(error), False, True, "take a folder you may write to")
    return Finding(name, "works", True, True)


def _nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def found(data: Path) -> Finding:
    """Converted datasets under the data root."""
    from bench.catalogue import datasets

    here = [entry.name for entry in datasets(data) if entry.facts["here"]]
    if not here:
        return Finding("datasets", f"none in '{data}'", None, mend="bench demo, or bench convert SOURCE RAW OUT")
    return Finding("datasets", ", ".join(here), True)
