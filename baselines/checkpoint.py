"""Checkpoints from which an interrupted training continues exactly, and the signals that ask for one."""

import contextlib
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from baselines.meter import Tally
from baselines.method import Method
from converters.errors import BenchError
from converters.files import Strict, replacing


class Progress(Strict):
    """Where a training stands, beside its weights."""

    step: int
    recipe: str  # digest of config, seed and view: a checkpoint of another run is refused
    tally: Tally
    parts: int = 1  # in which a batch is computed by now


def save_checkpoint(path: Path, method: Method, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write atomically; the one before is kept beside it."""
    if path.is_file():
        path.replace(_previous(path))
    with replacing(path) as temporary:
        torch.save(
            {
                "method": method.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": progress.step,
                "recipe": progress.recipe,
                "tally": {name: getattr(progress.tally, name) for name in Tally.__struct_fields__},
                "parts": progress.parts,
            },
            temporary,
        )


def load_checkpoint(path: Path, method: Method, optimizer: torch.optim.Optimizer, recipe: str) -> Progress | None:
    """Restore in place and say where to go on, or None where there is nothing to go on from.

    A damaged file falls back to the one before it; weights_only keeps code in a pickle from running.

    Raises:
        BenchError: the checkpoint belongs to another recipe, view or seed.
    """
    for candidate in (path, _previous(path)):
        state = _read(candidate)
        if state is None:
            continue
        if state["recipe"] != recipe:
            raise BenchError("the checkpoint belongs to another recipe", where=candidate, mend="use another --out")
        method.load_state_dict(state["method"])
        fused = [group.get("fused") for group in optimizer.param_groups]
        optimizer.load_state_dict(state["optimizer"])
        for group, kind in zip(optimizer.param_groups, fused, strict=True):
            group["fused"] = kind  # what suits this device, not the one of the checkpoint
        tally, parts = Tally(**state["tally"]), state.get("parts", 1)  # absent: from before there were any
        return Progress(step=state["step"], recipe=recipe, tally=tally, parts=parts)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError):
        return None
    whole = isinstance(state, dict) and {"method", "optimizer", "step", "recipe", "tally"} <= state.keys()
    return state if whole else None


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}-previous{path.suffix}")


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
