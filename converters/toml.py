"""TOML as a strict type: every fault at once, each with its key and its line."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from converters.errors import BenchError

T = TypeVar("T", bound=msgspec.Struct)
Fault = tuple[tuple[str, ...], str]  # dotted key, what is wrong
_KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([\w-]+))\s*(\.|=|$)""")


def read_toml(path: Path, kind: type[T]) -> T:
    """The file as a strict type.

    Raises:
        BenchError: the file is absent, no TOML, or keys are unknown, missing or unsound; all are named, with lines.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        table = tomllib.loads(text)
    except FileNotFoundError:
        raise BenchError(f"there is no {path.name}", where=path.parent) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchError(
            f"{path.name} is no TOML: {error}", where=path, mend="save it as UTF-8 without a mark"
        ) from None
    refuse(path, list(_faults(table, kind)), text)
    return msgspec.convert(table, kind)


def refuse(path: Path, faults: list[Fault], text: str | None = None) -> None:
    """Nothing where there are no faults.

    Raises:
        BenchError: names every fault by key and line.
    """
    if faults:
        lines = (path.read_text(encoding="utf-8") if text is None else text).splitlines()
        told = [f"{_line(lines, keys)}{'.'.join(keys)}: {what}" for keys, what in faults]
        raise BenchError(f"{path.name}: " + "; ".join(told), where=path, mend="docs/folder.md lists the keys")


def _faults(table: Mapping[str, Any], kind: type[msgspec.Struct]) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in table.keys() - fields.keys():
        yield (key,), f"unknown key; known are {', '.join(fields)}"
    for name, field in fields.items():
        if name in table:
            yield from _unsound(table[name], field.type, (name,))
        elif field.required:
            yield (name,), "missing"


def _unsound(value: Any, kind: Any, keys: tuple[str, ...]) -> Iterator[Fault]:
    """Tables of a free set of keys are gone through key by key, so that each fault finds its line."""
    if get_origin(kind) is dict and isinstance(value, dict):
        for key, part in value.items():
            yield from _unsound(part, get_args(kind)[1], (*keys, key))
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield keys, re.sub(r"^Object contains unknown field", "unknown key", str(error))


def _line(lines: list[str], keys: tuple[str, ...]) -> str:
    """`line N: ` of the key, or of the nearest table above it; nothing where neither stands in the file."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(lines, 1):
        if head := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
            table = _parts(head[1])
            found.setdefault(table, number)
        elif key := _parts(line):
            found.setdefault((*table, *key), number)
    wanted = next((keys[:depth] for depth in range(len(keys), 0, -1) if keys[:depth] in found), None)
    return f"line {found[wanted]}: " if wanted else ""


def _parts(text: str) -> tuple[str, ...]:
    """The dotted key at the start of a line or in a table's head; nothing where there is none."""
    parts = []
    while match := _KEY.match(text):
        parts.append(match[1] or match[2] or match[3] or "")
        if match[4] != ".":
            return tuple(parts)
        text = text[match.end() :]
    return ()
