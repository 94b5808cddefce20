"""Bytes read as changes of a sound JSON value, so that a fuzzer comes past the parser: `from edits import edited`."""

import copy
import json
from typing import Any

_DEEP: Any = 0
for _ in range(80):
    _DEEP = [_DEEP]
NASTY = (
    None, True, -1, 0, 1, 2, 0.5, -0.0, 5e-324, 1e308, -1e308, 1 << 31, 1 << 53, (1 << 63) - 1, 1 << 64, 10**400,
    "", " ", "1", "nan", "../../x", "/etc/x", "a\0b", "con", "\u202e", "\ud800", "<script>x</script>",
    "|\n`$\\input{x}", "=1+1", "long" * 3000, "full", "semi10", "noisy50", "dice:v1", "nsd@1e400mm:v1", [], {}, [[]],
    {"": None}, _DEEP,
)  # fmt: skip


def edited(text: bytes, data: bytes) -> bytes:
    """The JSON with a change for every four bytes: which leaf, two bytes, what is done there, and with what."""
    value = json.loads(text)
    for start in range(0, len(data) - 3, 4):
        places = list(_places(value))
        if not places:
            break
        which, how, what = int.from_bytes(data[start : start + 2], "big"), data[start + 2], data[start + 3]
        _change(places[which % len(places)], places[what % len(places)], how, NASTY[what % len(NASTY)])
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    """(container, key) of every part, the outermost first."""
    found = [(value, key) for key in (value if isinstance(value, dict) else range(len(value)))]
    yield from found
    for holder, key in found:
        if isinstance(holder[key], dict | list) and holder[key] is not _DEEP:
            yield from _places(holder[key])


def _change(place: tuple[Any, Any], other: tuple[Any, Any], how: int, nasty: Any) -> None:
    holder, key = place
    if how < 160:
        holder[key] = copy.deepcopy(nasty) if nasty is not _DEEP else _DEEP
    elif how < 190:
        del holder[key]
    elif how < 220:
        holder[key] = copy.deepcopy(other[0][other[1]])  # a value from elsewhere
    elif isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[str(nasty)[:40]] = holder.pop(key)  # the same under another name
