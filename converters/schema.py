"""The types of the format against JSON files: every fault at once, with its line."""

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from converters.errors import BenchError

_MARK = b"\xef\xbb\xbf"

T = TypeVar("T", bound=msgspec.Struct)


def read(path: Path, kind: type[T], mend: str) -> T:
    """The file of somebody else as a `kind`, which says by itself whether further keys are welcome.

    Raises:
        BenchError: it is absent, no JSON, or does not fit; names every fault with its line.
    """
    if not path.is_file():
        raise BenchError(f"there is no {path.name}", where=path.parent, mend=mend)
    if found := faults(path, kind):
        raise BenchError(f"{path.name}: {'; '.join(found)}", where=path, mend=mend)
    return msgspec.json.decode(path.read_bytes(), type=kind)


def faults(path: Path, kind: type[msgspec.Struct]) -> list[str]:
    """Everything that keeps the file from being a `kind`, each with its line; empty where it is one."""
    data = path.read_bytes()
    if data.startswith(_MARK):
        return ["line 1: it starts with a byte order mark; save it as plain UTF-8"]
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        at = re.search(r"byte (\d+)", str(error))
        return [f"line {data[: int(at[1])].count(10) + 1 if at else 1}: {error}"]
    text = data.decode()
    return [f"line {_line(text, keys)}: {'.'.join(keys) or 'file'}: {what}" for keys, what in _misfits(value, kind, ())]


def _misfits(value: object, kind: Any, keys: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """(keys that lead there, what is wrong) for every place below."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict)):
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            return [(keys, str(error))]
        return []
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    found = [(keys, f"the key '{name}' is missing") for name, f in fields.items() if f.required and name not in value]
    if kind.__struct_config__.forbid_unknown_fields:
        found += [((*keys, name), "there is no such key in the format") for name in value if name not in fields]
    for name, part in value.items():
        if name in fields:
            found += _misfits(part, fields[name].type, (*keys, name))
    return found


def _line(text: str, keys: tuple[str, ...]) -> int:
    """The line on which the innermost key stands."""
    at = 0
    for key in keys:
        at = max(at, text.find(f'"{key}"', at))
    return text.count("\n", 0, at) + 1
