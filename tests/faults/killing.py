"""`bench ...` in processes forked from one that has imported everything: what is started can be killed at once.

Run as a script by the tests: `python killing.py kills|signals|writes JSON`; prints what came of it as JSON, or fails.
"""

import functools
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from unittest import mock

PATIENCE = 300.0  # seconds until something that must happen is taken for lost


def forked(words: Sequence[object], said: Path, around: Callable[[], AbstractContextManager] = nullcontext) -> int:
    """`bench ...` in a child of its own session; its number. What it says goes to a file."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    from bench.cli import main

    try:
        with around():
            main([str(word) for word in words])
    except SystemExit as left:
        sys.stdout.flush()
        os._exit(int(left.code or 0))
    finally:
        os._exit(99)


def ended(child: int, within: float) -> int | None:
    """The exit code, below zero for a signal, or None where it still runs after so many seconds."""
    end = time.monotonic() + within
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.002)


def done(words: Sequence[object], said: Path, code: int = 0) -> None:
    """`bench ...` to its end, which must be that exit code."""
    found = ended(forked(words, said), PATIENCE)
    assert found == code, (found, said.read_text())


def kills(asked: dict) -> dict:
    """Sweeps killed at random times until there were so many, against one that nobody disturbed."""
    folder, chance = Path(asked["folder"]), random.Random(asked["seed"])
    said = folder / "said"
    began = time.monotonic()
    done(_sweep(asked, folder / "whole"), said)
    whole = time.monotonic() - began
    good, killed, ends = _told(folder / "whole", said), 0, 0
    runs = folder / "runs"
    while killed < asked["kills"]:
        child = forked(_sweep(asked, runs), said)
        code = ended(child, chance.uniform(0.02, asked["longest"]) * whole)
        if code is None:
            os.kill(child, signal.SIGKILL)
            assert ended(child, PATIENCE) == -signal.SIGKILL
            killed += 1
        else:  # it came to its end between two kills: once more from nothing
            assert code == 0, said.read_text()
            assert _told(runs, said) == good
            ends += 1
            runs.rename(folder / f"ended-{ends}")
    done(_sweep(asked, runs), said)
    assert _told(runs, said) == good, "another table"
    left = [path.name for path in runs.rglob("*") if path.name.endswith(".tmp") or path.name == "lock.json"]
    assert left == [], left
    return {"kills": killed, "sweeps": ends + 1, "bytes": len(good[0]), "segments": _segments(runs), "seconds": whole}


def _sweep(asked: dict, runs: Path) -> list[object]:
    return ["sweep", asked["file"], "--data", asked["data"], "--runs", runs, "--device", "cpu", "--jobs", 1]


def _told(runs: Path, said: Path) -> tuple[bytes, list[object]]:
    """The score of every patient as a table, and what each record holds that no machine decides."""
    from outcomes import core

    from leaderboards.record import Record

    out = runs.with_suffix(".csv")
    done(["table", runs, "--format", "challenger", "--out", out], said)
    records = [Record.load(path) for path in sorted(runs.rglob("record.json"))]
    return out.read_bytes(), [core(record) for record in records]


def _segments(runs: Path) -> list[int]:
    from leaderboards.record import Record

    return [Record.load(path).train.segments for path in sorted(runs.rglob("record.json"))]


def signals(asked: dict) -> list[dict]:
    """Runs that are asked to stop, told to, asked twice and killed, each when it has gone on a little."""
    return [_signalled(Path(asked["folder"]) / str(number), run) for number, run in enumerate(asked["runs"])]


def _signalled(folder: Path, run: Sequence[str]) -> dict:
    from outcomes import core

    from leaderboards.record import Record

    folder.mkdir()
    said, runs = folder / "said", folder / "cut"
    done([*run, "--runs", folder / "whole"], said)
    codes = []
    for number, sent in enumerate((["SIGINT"], ["SIGTERM"], ["SIGINT", "SIGTERM"], ["SIGKILL"])):
        there, on = folder / f"there-{number}", folder / f"on-{number}"
        child = forked([*run, "--runs", runs], said, functools.partial(_halting, runs, there, on))
        _until(there.exists, child, said)
        for name in sent:
            os.kill(child, signal.Signals[name])
        on.touch()
        codes.append(ended(child, PATIENCE))
    done([*run, "--runs", runs], said)
    whole, cut = (Record.load(next((folder / name).rglob("record.json"))) for name in ("whole", "cut"))
    logs = [next((folder / name).rglob("model/log.jsonl")).read_bytes() for name in ("whole", "cut")]
    return {
        "codes": codes,
        "same": core(whole) == core(cut),
        "log": logs[0] == logs[1],
        "segments": [whole.train.segments, cut.train.segments],
        "items": [whole.train.items, cut.train.items],
        "left": [path.name for path in runs.rglob("*") if path.name.endswith(".tmp") or path.name == "lock.json"],
    }


@contextmanager
def _halting(runs: Path, there: Path, on: Path) -> Iterator[None]:
    """After the first line that no log had before, say that it is there and wait: what comes, comes then."""
    from baselines.log import Log

    before, write = _written(runs), Log._write

    def halt(log: Log) -> None:
        write(log)
        if not there.exists() and _written(runs) - before:
            there.touch()
            while not on.exists():
                time.sleep(0.002)

    with mock.patch.object(Log, "_write", halt):
        yield


def writes(asked: dict) -> dict:
    """A run killed in every step-th operation of the disk, each time from nothing, and then made again."""
    from fault_fs import faulty
    from outcomes import core

    from leaderboards.record import Record

    folder, runs = Path(asked["folder"]), Path(asked["folder"]) / "cut"
    said, killed = folder / "said", 0
    done([*asked["run"], "--runs", folder / "whole"], said)
    good = core(Record.load(next((folder / "whole").rglob("record.json"))))
    for number in itertools.count(asked["first"], asked["step"]):
        around = functools.partial(faulty, runs, number, kills=True)
        code = ended(forked([*asked["run"], "--runs", runs], said, around), PATIENCE)
        assert code in (0, -signal.SIGKILL), (code, said.read_text())
        killed += code != 0
        done([*asked["run"], "--runs", runs], said)
        assert core(Record.load(next(runs.rglob("record.json")))) == good, number
        left = [path.name for path in runs.rglob("*") if path.name.endswith(".tmp") or path.name == "lock.json"]
        assert left == [], (number, left)
        shutil.rmtree(runs)
        if code == 0:  # there are no more
            return {"killed": killed}
    raise AssertionError


def _written(runs: Path) -> set[tuple[str, bytes]]:
    """Every line of the logs, of all stages."""
    return {(str(log), line) for log in runs.rglob("log.jsonl") for line in log.read_bytes().splitlines()}


def _until(true: Callable[[], object], child: int, said: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, said.read_text()
        code = ended(child, 0.002)
        assert code is None, (code, said.read_text())


def main() -> None:
    """Import what a run needs, then do what was asked."""
    for name in ("baselines.predict", "baselines.train", "bench.run", "bench.sweep"):
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    what = {"kills": kills, "signals": signals, "writes": writes}[sys.argv[1]]
    print(json.dumps(what(json.loads(sys.argv[2]))))  # noqa: T201


if __name__ == "__main__":
    main()
