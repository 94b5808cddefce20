"""What a fault must come to on the command line: `from outcomes import refused`."""

import re
import subprocess
import sys
from pathlib import Path

from converters.check import check
from leaderboards.record import Record


def core(record: Record) -> dict[str, object]:
    """What two runs of one recipe share, whatever somebody changes in the suite's files between them."""
    return record.core() | {"digests": {key: value for key, value in record.digests.items() if key != "code"}}


def left_of(folder: Path, case: str) -> list[str]:
    """Files below the folder that belong to a case, and what a broken writer leaves."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [name for name in names if re.search(rf"/{case}(_\d{{4}})?\.", name) or name.endswith(".tmp")]


def refused(done, out: Path, case: str, told: str, *, others: int, code: int = 3) -> None:
    """The case is named with what, where and mend; nothing is left of it; so many others are sound.

    `done` is what `bench convert ... --json` came to.
    """
    assert done.code == code, done.err
    assert re.search(rf"{case}: .*{told}", done.err, re.DOTALL), done.err
    assert "\n  in    " in done.err and "\n  mend  " in done.err
    assert "Traceback" not in done.err
    assert left_of(out, case) == []
    roots = [path.parent for path in out.rglob("dataset.json")]
    assert sum(len(list((root / "cases").iterdir())) for root in roots) == others
    assert [problem for root in roots for problem in check(root)] == []


_MEASURED = """
import re, sys
from pathlib import Path
from bench.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    # Not ru_maxrss: that starts from the size of the process that forked this one.
    print(left.code, int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def measured(*words: object) -> tuple[int, int, str]:
    """`bench ...` in a process of its own: exit code, peak of its memory in MiB, stderr."""
    line = [sys.executable, "-c", _MEASURED, *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    code, peak_mib = done.stdout.split()[-2:]
    return int(code), int(peak_mib), done.stderr
