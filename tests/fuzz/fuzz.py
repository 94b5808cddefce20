"""Coverage-guided fuzzing with atheris: `python tests/fuzz/fuzz.py [--seconds 300] [TARGET ...]`, or `make fuzz`.

Each target runs in a process of its own, from its seeds and from what was found before. What raises anything but
BenchError, takes more than ten seconds or more than 1 GiB is kept in build/fuzz/found, and the exit code is 1.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
READERS = ["converters", "leaderboards", "bench", "pydicom", "xlrd", "tarfile", "zipfile", "tomllib"]
LIMITS = ["-timeout=10", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=1"]


def main() -> int:
    """Fuzz every target named, one after the other; all when none is."""
    sys.path[:0] = [str(folder) for folder in (ROOT, HERE, HERE.parent, HERE.parent / "converters")]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.here:
        _fuzz(wanted.targets[0], wanted.seconds)
    from targets import TARGETS

    failed = [name for name in wanted.targets or TARGETS if _apart(name, wanted.seconds)]
    sys.stdout.write(f"findings: {', '.join(failed) or 'none'}\n")
    return 1 if failed else 0


def _apart(name: str, seconds: int) -> int:
    words = [sys.executable, __file__, "--here", "--seconds", str(seconds), name]
    return subprocess.run(words, check=False, cwd=ROOT).returncode


def _fuzz(name: str, seconds: int) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=READERS):
        from targets import TARGETS
    target = TARGETS[name]
    corpus, found = ROOT / "build" / "fuzz" / name, ROOT / "build" / "fuzz" / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    known = HERE / "found" / name
    where = [str(corpus), *([str(known)] if known.is_dir() else [])]
    aim = [f"-max_total_time={seconds}", f"-artifact_prefix={found}/{name}-"]
    atheris.Setup([sys.argv[0], *LIMITS, *aim, *where], target.one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
