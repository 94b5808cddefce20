"""One `bench run` as several processes that share each batch: started together, ended together."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.executors.ends import SHOWN, End
from bench.output import say
from bench.signals import ending_on
from bench.views import view
from converters.errors import EnvironmentFault

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.run import Place

GRACE = 10.0  # seconds that the others have to end by themselves once a rank has failed
LOOK_EVERY = 0.1  # seconds between two looks at the processes


def start(words: Sequence[str], count: int, plans: Sequence["Plan"], place: "Place") -> int:
    """Run a command line of `bench` as so many ranks on this machine; the exit code, when all have ended.

    Rank 0 says and writes what a run of one process does. Where a rank fails the others are ended, and a line says
    which one it was and why; the same command goes on from the last checkpoint.

    Raises:
        BenchError: the recipe cannot be shared by so many; nothing was started.
        EnvironmentFault: fewer GPUs than ranks.
        KeyboardInterrupt: asked to stop; a checkpoint is saved.
    """
    from baselines.method import find
    from baselines.ranks_join import check, one_each

    for plan in plans:
        check(find(plan.recipe.train.method, place.plugin), plan.recipe.train, count)
    if place.device != "cpu":
        one_each(place.device, count)
    with tempfile.TemporaryDirectory() as folder, ending_on(signal.SIGINT, signal.SIGTERM):
        crew = [_process(words, rank, count, Path(folder)) for rank in range(count)]
        try:
            codes = _codes(crew)
        except KeyboardInterrupt:
            for process in crew:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
            _codes(crew)
            raise
        finally:
            _end(crew)
        return _verdict({rank: End(code, _last_words(Path(folder), rank)) for rank, code in codes.items()})


def _process(words: Sequence[str], rank: int, count: int, folder: Path) -> "subprocess.Popen[bytes]":
    from baselines.ranks_join import MEET

    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), MEET: str(folder / "meet")}
    # torch tells every process of a look at each gradient that a deterministic training asks for.
    defaults = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    if sys.platform == "linux":
        defaults["GLOO_SOCKET_IFNAME"] = "lo"  # all are here, whatever name this machine has elsewhere
    with _said(folder, rank).open("wb") as said:
        # A group of its own: what stops this process is handed on once, by it; a second signal would save nothing.
        return subprocess.Popen(
            [sys.executable, "-m", "bench.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=None if rank == 0 else subprocess.DEVNULL,
            stderr=None if rank == 0 else said,
            start_new_session=True,
            env={**defaults, **os.environ, **own},
        )


def _codes(crew: Sequence["subprocess.Popen[bytes]"]) -> dict[int, int]:
    """The code of each rank that has ended by itself: all of them, or those that have soon after one failed."""
    deadline = None
    while any([process.poll() is None for process in crew]):  # a list: each is looked at  # noqa: C419
        if deadline is None and any(process.returncode for process in crew):
            deadline = time.monotonic() + GRACE
        if deadline is not None and time.monotonic() > deadline:
            break
        time.sleep(LOOK_EVERY)
    return {rank: process.returncode for rank, process in enumerate(crew) if process.returncode is not None}


def _end(crew: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in crew:
        if process.poll() is None:
            process.kill()
            process.wait()


def _verdict(ends: Mapping[int, End]) -> int:
    """The exit code, and a line that says which rank failed first; of rank 0 all but a signal has been said."""
    failed = {rank: end for rank, end in ends.items() if end.code}
    if not failed:
        return 0

    from baselines.ranks_join import GONE

    def innocence(rank: int) -> tuple[bool, bool, int]:
        code, said = failed[rank]
        silent = rank == 0 and code == EnvironmentFault.exit_code
        return (code or 0) > 0, silent or GONE in said, rank

    rank = min(failed, key=innocence)
    code, told = failed[rank].code or 0, failed[rank].told
    say(f"rank {rank} of the run has failed: {told}\n  mend  the same command goes on from the last checkpoint")
    return code if code > 0 else EnvironmentFault.exit_code


def _said(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.txt"


def _last_words(folder: Path, rank: int) -> str:
    return "\n".join(_said(folder, rank).read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:])


def follow(plan: "Plan", place: "Place") -> None:
    """What a rank other than the first does of a run: its share of the training, once the view lies there."""
    from baselines import ranks, train

    if not ranks.told(0):  # there was a record
        return
    recipe, where = plan.recipe, plan.folder / "view"
    seen = view(plan.dataset, plan.split, plan.protocol, recipe.draw, where, others=plan.others, task=recipe.task)
    setting = train.Setting(plan.recipe.seed, place.device, place.plugin, place.cache)
    with contextlib.suppress(train.RefusedError):  # rank 0 writes that down
        train.train(seen, recipe.train, plan.folder / "model", setting, recipe.task)
