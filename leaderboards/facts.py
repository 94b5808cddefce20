"""What a run ran on: the machine and the code, without a name or a path that would tell whose they are."""

import contextlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from converters.files import digest, sha256

_PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "segmentation-models-pytorch",
    "timm",
    "nibabel",
    "SimpleITK",
)
_SOURCE = Path(__file__).resolve().parents[1]
# Records and pages are what runs make, so a new one does not make the code another.
_CODE = ("bench", "baselines", "leaderboards", "converters", ":!leaderboards/results", ":!leaderboards/pages")


def machine_facts() -> dict[str, str]:
    """Processor, cores this process may use, how busy they were, memory, python and operating system."""
    facts = {
        "cpu": _processor(),
        "cores": str(_cores()),
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
    }
    with contextlib.suppress(OSError, AttributeError):  # no load average on Windows
        facts["load"] = " ".join(f"{mean:.2f}" for mean in os.getloadavg())  # over 1, 5 and 15 minutes
    with contextlib.suppress(ValueError, OSError, AttributeError):  # no sysconf on Windows
        facts["memory_gib"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f}"
    return facts


def code_facts() -> dict[str, str]:
    """Versions of the suite and of what decides its numbers; commit and dirty where the source is a checkout.

    `packages` is a digest of everything installed: equal where two environments are.
    """
    facts = {"packages": digest(sorted(_installed()))}
    for package in ("frugalseg", *_PACKAGES):
        with contextlib.suppress(metadata.PackageNotFoundError):
            facts[package] = metadata.version(package)
    return facts | _checkout(_SOURCE)


def code_sha256() -> str:
    """Digest of the suite's source: the same for the same code, checkout or not."""
    packages = [name for name in _CODE if not name.startswith(":")]
    files = sorted(path for name in packages for path in (_SOURCE / name).rglob("*.py"))
    return digest([[path.relative_to(_SOURCE).as_posix(), sha256(path.read_bytes())] for path in files])


def _installed() -> set[str]:
    named = ((found.metadata["Name"], found.version) for found in metadata.distributions())
    return {f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}" for name, version in named if name}


def _checkout(root: Path) -> dict[str, str]:
    # Only a checkout of this project: a virtual environment may lie in somebody else's.
    if not (root / ".git").exists():
        return {}
    commit, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "--", *_CODE)
    if commit is None or changed is None:
        return {}
    return {"commit": commit, "dirty": "true" if changed else "false"}


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None without git, or where it refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    """The processor's model; the bare architecture where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
