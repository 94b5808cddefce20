"""Which device a run takes, and the process-wide torch settings it needs while it runs."""

import contextlib
import importlib.util
import os
import re
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from baselines.config import TrainConfig
from converters.errors import EnvironmentFault


def pick(device: str) -> str:
    """`auto` is the first CUDA device, else the CPU.

    Raises:
        EnvironmentFault: the device asked for is not there.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu":
        known = [f"cuda:{n}" for n in range(torch.cuda.device_count())]
        if device not in ("cuda", *known) or not known:
            raise EnvironmentFault(
                f"there is no device '{device}'", mend=f"--device cpu{' or ' if known else ''}{', '.join(known)}"
            )
    return device


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all it was handed; a CPU has, always."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fast_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware (avx512_bf16 or AMX)."""
    flags = _read(Path("/proc/cpuinfo"))
    return "avx512_bf16" in flags or "amx_bf16" in flags


def compiles(config: TrainConfig, device: torch.device) -> bool:
    """Whether this training's networks are compiled: as asked, or on a GPU where all that takes is there.

    Raises:
        EnvironmentFault: it is asked for, and something is missing.
    """
    if not config.compile or (config.compile == "auto" and device.type != "cuda"):
        return False
    missing = _not_there(device)
    if missing and config.compile is True:
        raise EnvironmentFault(
            f"networks cannot be compiled without {' and '.join(missing)}",
            mend="install it, or set train.compile=false",
        )
    return not missing


def _not_there(device: torch.device) -> list[str]:
    """What torch.compile needs at run time and this machine lacks."""
    asked = os.environ.get("CC" if device.type == "cuda" else "CXX")
    compilers = [asked] if asked else ["gcc", "clang"] if device.type == "cuda" else ["g++"]
    missing = [] if any(map(shutil.which, compilers)) else [f"a compiler ({' or '.join(compilers)})"]
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        missing.append("Python.h")
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        missing.append("triton")
    return missing


def describe(device: torch.device) -> dict[str, str]:
    """What a record says of the device: what decides the bits, and the GPU with the versions that decide its speed.

    To be asked inside `settings`, for it tells what is in force.
    """
    told = {
        "threads": str(torch.get_num_threads()),
        "deterministic": _word(torch.are_deterministic_algorithms_enabled()),
    }
    if device.type == "cuda":
        cudnn = torch.backends.cudnn
        version: Callable[[], object] = cudnn.version  # torch leaves it untyped
        told |= {
            "gpu": torch.cuda.get_device_name(device),
            "cuda": str(torch.version.cuda),
            "cudnn": str(version()),
            "cudnn_benchmark": _word(cudnn.benchmark),
            "tf32": _word(torch.backends.cuda.matmul.allow_tf32 or cudnn.allow_tf32),
        }
        if found := driver():
            told["driver"] = found
    return told


def driver() -> str | None:
    """Version of NVIDIA's kernel module, or None where it is not loaded."""
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", _read(Path("/proc/driver/nvidia/version")))
    return found[1] if found else None


def _word(value: bool) -> str:
    return "true" if value else "false"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


@contextlib.contextmanager
def settings(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Threads and determinism for the length of a phase; what was set before comes back.

    What torch still keeps of a GPU's memory is given back as well: the next phase would count it as its own.
    """
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        if config.threads:
            torch.set_num_threads(config.threads)
        if config.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = device.type == "cuda" and not config.deterministic
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
        if device.type == "cuda":
            torch.cuda.empty_cache()
