"""What the suite says when something is wrong: what, where, how to mend."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

_NO_MEMORY = ("can't allocate memory", "CUDA out of memory")  # torch's words


class BenchError(ValueError):
    """A fault a person can mend.

    Args:
        what: what is wrong, with the measured facts ("gap of 10.0 mm after z=-35.0; expected 5.0").
        where: the file, folder, case or slice it was found in.
        mend: what the reader can do about it.
    """

    exit_code = 3  # bad data or config: nothing was run

    def __init__(self, what: str, *, where: str | Path | None = None, mend: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.mend = mend
        lines = [what]
        if self.where:
            lines.append(f"  in    {self.where}")
        if mend:
            lines.append(f"  mend  {mend}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between worker processes.
        return _rebuild, (type(self), self.what, self.where, self.mend)


class UsageError(BenchError):
    """The command line asks for something that does not exist or cannot be combined."""

    exit_code = 2


class RunFault(BenchError):
    """What was begun came to no good end: data and config were such that it could begin."""

    exit_code = 1


class EnvironmentFault(BenchError):
    """The machine lacks something: a GPU, an optional package, disk space, a lock."""

    exit_code = 4


def no_memory(error: BaseException) -> bool:
    """Whether there was no memory left, on a GPU or on the host; whoever wraps torch's error keeps its words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def reason(error: Exception) -> str:
    """Why something failed, as a record keeps it: no paths of this machine."""
    if not isinstance(error, BenchError):
        what = "oom: there is no memory left" if no_memory(error) else type(error).__name__
        return "; ".join([f"{what}: {error}" if str(error) else what, *getattr(error, "__notes__", ())])
    place = error.where if error.where and not Path(error.where).is_absolute() else None
    return "; ".join([error.what, *([place] if place else ()), *getattr(error, "__notes__", ())])


def _rebuild(kind: type[BenchError], what: str, where: str | None, mend: str | None) -> BenchError:
    return kind(what, where=where, mend=mend)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name a person most likely meant, or None."""
    near = get_close_matches(name.lower().replace("-", "_"), [k.lower().replace("-", "_") for k in known], 1, 0.6)
    return next((k for k in known if near and k.lower().replace("-", "_") == near[0]), None)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist: the nearest one and the whole list."""
    names = sorted(known)
    guess = closest(name, names)
    hint = f" Did you mean '{guess}'?" if guess else ""
    return UsageError(f"no {kind} '{name}'.{hint}", mend=f"{kind}s: {', '.join(names) or 'none'}  (bench ls)")


def what_of(error: BenchError | OSError) -> str:
    """What went wrong with a file, in words that name no path."""
    return error.what if isinstance(error, BenchError) else f"{error.strerror}"


def refuse_file(path: Path, what: str, mend: str = "get the file again from its source") -> NoReturn:
    """Raise what says that a file is refused.

    Raises:
        BenchError: always.
    """
    raise BenchError(f"{path.name}: {what}", where=path, mend=mend)
