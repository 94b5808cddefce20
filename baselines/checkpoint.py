"""Checkpoints from which an interrupted training continues exactly, and the signals that ask for one.

A checkpoint is a safetensors file: tensors by name, all else as JSON in its header. Nothing in it can be run.
"""

import contextlib
import signal
import threading
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from baselines.meter import Tally
from baselines.method import Method
from converters.errors import BenchError, RunFault
from converters.files import Strict, write_bytes

CHECKPOINT = "checkpoint.safetensors"
_HEADER = "frugalseg"  # the key in the file's metadata


class Progress(Strict):
    """Where a training stands, beside its weights."""

    step: int
    recipe: str  # digest of config, seed and view: a checkpoint of another run is refused
    tally: Tally
    parts: int = 1  # in which a batch is computed by now


class _Header(Strict):
    """What a checkpoint holds beside tensors."""

    progress: Progress
    torch: str  # version that wrote it
    crc32: int  # of all else, header and tensors
    groups: list[dict[str, Any]]  # of the optimiser
    values: dict[int, dict[str, Any]]  # what its state holds beside tensors


def save_checkpoint(path: Path, method: Method, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write atomically; the one before is kept beside it.

    Raises:
        RunFault: a weight, or a statistic of a norm, is infinite or NaN: nobody could go on from here to a good end.
    """
    statistics = (value for name, value in method.named_buffers() if name.endswith(("running_mean", "running_var")))
    if not all(bool(value.isfinite().all()) for value in (*method.parameters(), *statistics)):
        raise RunFault(
            f"a weight is no number after step {progress.step - 1}",
            mend="lower train.lr; the last good checkpoint is kept",
        )
    state = optimizer.state_dict()
    tensors = {f"method/{name}": value for name, value in method.state_dict().items()}
    values: dict[int, dict[str, Any]] = {index: {} for index in state["state"]}
    for index, entry in state["state"].items():
        for name, value in entry.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{name}"] = value
            else:
                values[index][name] = value
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = _Header(
        progress=progress, torch=str(torch.__version__), crc32=0, groups=state["param_groups"], values=values
    )
    header = msgspec.structs.replace(header, crc32=_crc32(header, tensors))
    data = save(tensors, {_HEADER: msgspec.json.encode(header).decode()})
    if path.is_file():
        path.replace(_beside(path, "previous"))
    write_bytes(path, data)


def load_checkpoint(path: Path, method: Method, optimizer: torch.optim.Optimizer, recipe: str) -> Progress | None:
    """Restore in place and say where to go on, or None where there is nothing to go on from.

    A damaged file is put aside, as `-damaged`, and the one before it is taken. A warning says so, and where another
    version of torch wrote it: bits may then differ from those of a training that was not interrupted.

    Raises:
        BenchError: the checkpoint belongs to another recipe, view or seed.
    """
    for candidate in (path, _beside(path, "previous")):
        found = _read(candidate)
        if found is None:
            continue
        header, tensors = found
        if header.progress.recipe != recipe:
            raise BenchError("the checkpoint belongs to another recipe", where=candidate, mend="use another --out")
        if header.torch != torch.__version__:
            _warn(f"torch {header.torch} wrote {candidate}, torch {torch.__version__} goes on from it")
        try:
            _restore(method, optimizer, header, tensors)
        except (RuntimeError, ValueError) as error:
            told = f"the checkpoint does not fit the method: {error}"
            raise BenchError(told, where=candidate, mend="remove it, or use another --out") from error
        return header.progress
    if path.with_suffix(".pt").is_file():
        _warn(f"{path.with_suffix('.pt')} is of an earlier version and not read: the training begins anew")
    return None


def _restore(method: Method, optimizer: torch.optim.Optimizer, header: _Header, tensors: Mapping[str, Tensor]) -> None:
    prefix = "method/"
    method.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    state = {index: dict(entry) for index, entry in header.values.items()}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/", 2)
            state[int(index)][key] = value
    fused = [group.get("fused") for group in optimizer.param_groups]
    optimizer.load_state_dict({"state": state, "param_groups": header.groups})
    for group, kind in zip(optimizer.param_groups, fused, strict=True):
        group["fused"] = kind  # what suits this device, not the one of the checkpoint


def _read(path: Path) -> tuple[_Header, dict[str, Tensor]] | None:
    """A whole checkpoint, or None where there is none; a damaged one is put aside."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            header = msgspec.json.decode(stored.metadata()[_HEADER], type=_Header)
            tensors = {name: stored.get_tensor(name).clone() for name in stored.keys()}  # noqa: SIM118  (no mapping)
        whole = _crc32(header, tensors) == header.crc32
    except (OSError, SafetensorError, msgspec.MsgspecError, KeyError, TypeError, ValueError):
        whole = False
    if whole:
        return header, tensors
    aside = path.replace(_beside(path, "damaged"))
    _warn(f"{path} is damaged, and now called {aside.name}: the one before it is taken, or the first step")
    return None


def _crc32(header: _Header, tensors: Mapping[str, Tensor]) -> int:
    """Of all that a checkpoint says: the format itself has no checksum."""
    found = zlib.crc32(msgspec.json.encode(msgspec.structs.replace(header, crc32=0)))
    for name in sorted(tensors):
        value = tensors[name]
        found = zlib.crc32(f"{name} {value.dtype} {list(value.shape)}".encode(), found)
        found = zlib.crc32(value.flatten().view(torch.uint8).numpy().data, found)
    return found


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.stem}-{what}{path.suffix}")


def _warn(told: str) -> None:
    warnings.warn(told, stacklevel=3)


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets, so that a step can end; the second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
