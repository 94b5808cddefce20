"""A folder in which `python -m bench.cli run ...` is a program of the tests: what executors do to a run."""

import time
from collections.abc import Callable
from pathlib import Path

from bench.executors import tied

PROGRAM = '''
"""run NAME WHAT ...: does what it is told, and says so in files that begin with its name."""

import os, signal, sys, time
from pathlib import Path


def until(true):
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            sys.exit(9)
        time.sleep(0.02)


def main(words):
    _, name, what, *more = words
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append("SIGTERM"))
    signal.signal(signal.SIGINT, lambda *_: asked.append("SIGINT"))
    print(f"{name}: first line", file=sys.stderr)
    if what == "die":
        os.kill(os.getpid(), getattr(signal, more[0]))
    elif what == "fail":
        print(f"{name}: the loss is nan", file=sys.stderr)
        sys.exit(1)
    elif what == "alone":  # on its GPU, while another is at work on another GPU
        gpu = os.environ["CUDA_VISIBLE_DEVICES"]
        with Path(f"gpu-{gpu}").open("x"):
            until(lambda: len(list(Path().glob("gpu-*"))) == int(more[0]) or Path("met").exists())
            Path("met").touch()
        Path(f"gpu-{gpu}").unlink()
        Path(f"{name}.on").write_text(gpu)
    elif what == "wait":
        Path(f"{name}.ready").write_text(str(os.getpid()))
        until(lambda: asked)
        Path(f"{name}.asked").write_text(asked[0])
        sys.exit(130)


if __name__ == "__main__":
    main(sys.argv[1:])
'''


def pretend(folder: Path) -> Path:
    """Make the folder: started in it, `bench.cli` is the program above, and `bench.executors.tied` is ours."""
    (folder / "bench" / "executors").mkdir(parents=True)
    for package in ("bench", "bench/executors"):
        (folder / package / "__init__.py").touch()
    (folder / "bench" / "cli.py").write_text(PROGRAM, encoding="utf-8")
    (folder / "bench" / "executors" / "tied.py").write_bytes(Path(tied.__file__).read_bytes())
    return folder


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    """Fails when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
