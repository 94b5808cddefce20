"""What this machine has and lacks: findings, each with what to do about it. `docs/doctor.md` lists them."""

import contextlib
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from bench.finding import Finding

LEAST_PYTHON = (3, 11)
SHOWN = 4  # names of a long list
_LOCK = Path(__file__).resolve().parents[1] / "constraints.txt"


def examine(data: Path, runs: Path, cache: Path | None, *, full: bool = False) -> Iterator[Finding]:
    """Everything that is looked at, in order; each finding comes as soon as it is known.

    Args:
        data: folder of the converted datasets.
        runs: folder of runs.
        cache: folder of packs; None: there is none.
        full: read every voxel of the data.
    """
    from bench import doctor_data, doctor_folders, doctor_machine

    yield python()
    yield packages()
    yield versions(_LOCK)
    yield from doctor_machine.examine()
    yield from doctor_folders.examine({"runs": runs, "cache": cache})
    yield from doctor_data.examine(data, full=full)


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


def versions(lock: Path) -> Finding:
    """Whether the packages of the lock that are installed have the versions with which the suite is known to pass."""
    name = "versions"
    if not lock.is_file():  # it comes with the source, not with a wheel
        return Finding(name, "no constraints.txt beside the code to compare with")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", lock.read_text(encoding="utf-8"), re.MULTILINE))
    found = {package: there for package in pins if (there := version(package)) is not None}
    other = [f"{package} {there} (not {pins[package]})" for package, there in found.items() if there != pins[package]]
    value = f"{len(found) - len(other)} of {len(found)} as in constraints.txt"
    if not other:
        return Finding(name, value, True)
    more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    mend = f"pip install -c {lock.name} -e . in the checkout, if numbers are to be those of the committed records"
    return Finding(name, f"{value}; {', '.join(other[:SHOWN])}{more}", False, mend=mend)
