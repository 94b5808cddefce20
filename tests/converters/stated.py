"""What a conversion left in a folder: `from stated import contents, one, state`."""

import hashlib
from pathlib import Path

from converters.convert import Report


def state(root: Path) -> dict[str, tuple[str, int, int]]:
    """Every file: content, inode and time."""
    return {
        path.relative_to(root).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_ino,
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def contents(root: Path) -> dict[str, str]:
    """Every file with the digest of its content."""
    return {name: digest for name, (digest, _, _) in state(root).items()}


def one(reports: list[Report]) -> Report:
    """The only one."""
    (report,) = reports
    return report
