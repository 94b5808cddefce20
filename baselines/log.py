"""log.jsonl: the loss terms of every tenth step, and the check that they are numbers, without waiting for a GPU."""

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import msgspec
import torch
from torch import Tensor

from converters.errors import RunFault
from converters.files import write_bytes

LOG_EVERY = 10

Follower = Callable[[Path, Sequence[bytes]], None]  # takes a log and lines that were written to it
_FOLLOWER: contextvars.ContextVar[Follower | None] = contextvars.ContextVar("follower", default=None)


@contextlib.contextmanager
def following(follower: Follower) -> Iterator[None]:
    """Hand on what every log of the block is opened with, and each line that it gets. It must return at once."""
    token = _FOLLOWER.set(follower)
    try:
        yield
    finally:
        _FOLLOWER.reset(token)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """The terms of a step, on the device."""

    step: int
    terms: Mapping[str, Tensor]
    cases: Tensor


@dataclasses.dataclass(frozen=True)
class _Copied:
    """The same on the host, once `wait` has returned."""

    seen: _Seen
    values: Tensor
    wait: Callable[[], object]


class Log:
    """Appends lines to a log from which the steps that will be taken again are cut.

    With `later`, a line is written when the next one is due: its values have long been copied then. Everything due is
    written and checked by `settle`, which is called before each checkpoint.
    """

    def __init__(self, path: Path, start: int, cases: Sequence[str], *, later: bool) -> None:
        kept = _cut(path, start)
        self._path, self._follower = path, _FOLLOWER.get()
        self._lines = path.open("ab")
        self._hand_on(kept)
        self._cases = cases
        self._later = later
        self._last: _Seen | None = None
        self._pending: _Copied | None = None

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def see(self, step: int, terms: Mapping[str, Tensor], cases: Tensor, *, line: bool) -> None:
        """Note the terms of a step, and that they are to be written.

        Raises:
            RunFault: the loss of a step that is read now is no longer finite; says on which cases.
        """
        self._last = _Seen(step, terms, cases)
        if line:
            self._write()
            self._pending = _copied(self._last)
            if not self._later:
                self._write()

    def settle(self) -> None:
        """Write what is due and look at the last step, written or not.

        Raises:
            RunFault: as for `see`.
        """
        self._write()
        if self._last is not None:
            self._values(_copied(self._last))

    def _write(self) -> None:
        if self._pending is not None:
            values = self._values(self._pending)
            line = msgspec.json.encode({"step": self._pending.seen.step, **values}) + b"\n"
            self._lines.write(line)
            self._lines.flush()
            self._pending = None
            self._hand_on([line])

    def _hand_on(self, lines: Sequence[bytes]) -> None:
        if self._follower is not None:
            self._follower(self._path, lines)

    def _values(self, copied: _Copied) -> dict[str, float]:
        copied.wait()
        total = float(copied.values.sum())
        if not math.isfinite(total):
            names = sorted({self._cases[case] for case in copied.seen.cases.tolist()})
            raise RunFault(
                f"the loss is {total} at step {copied.seen.step}",
                where=f"cases {', '.join(names)}",
                mend="lower train.lr, or look at these images; the last good checkpoint is kept",
            )
        return dict(zip(copied.seen.terms, copied.values.tolist(), strict=True))


def _copied(seen: _Seen) -> _Copied:
    """The copy is queued behind the step's own work; only who waits for it waits."""
    values = torch.stack([value.reshape(()) for value in seen.terms.values()])
    if values.device.type != "cuda":
        return _Copied(seen, values, lambda: None)
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
    done = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record(torch.cuda.current_stream(values.device))
    return _Copied(seen, host, done.synchronize)


def _cut(path: Path, start: int) -> list[bytes]:
    """Drop lines of steps that will be taken again; the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        return []
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(msgspec.DecodeError):
            if msgspec.json.decode(line)["step"] < start and line.endswith(b"\n"):
                kept.append(line)
    write_bytes(path, b"".join(kept))
    return kept


def join(logs: Sequence[Path], steps: Sequence[int], out: Path) -> None:
    """The logs of stages, which took so many steps each, as one that counts on."""
    lines, before = [], 0
    for log, count in zip(logs, steps, strict=True):
        for line in log.read_bytes().splitlines():
            found = msgspec.json.decode(line)
            lines.append(msgspec.json.encode({**found, "step": found["step"] + before}) + b"\n")
        before += count
    write_bytes(out, b"".join(lines))
