"""Values of DICOM tags: numbers checked for count and finiteness, codes and identities as they stand."""

import contextlib
import functools
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import BaseTag

from converters.errors import BenchError

Tags = tuple[Any, ...]  # pydicom datasets, searched in turn


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from warning and logging: it quotes the values it dislikes, names of people among them."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def number(tags: Tags, keyword: str, path: Path) -> float | None:
    """A tag's value as a number, None where it is absent or empty."""
    values = _numbers(tags, keyword, 1, path)
    return None if values is None else values[0]


def required(tags: Tags, keyword: str, count: int, path: Path) -> tuple[float, ...]:
    """A tag's numbers.

    Raises:
        BenchError: it is absent, has another count of values, or one that is not finite.
    """
    values = _numbers(tags, keyword, count, path)
    if values is None:
        raise BenchError(
            f"no {named(keyword)}", where=path, mend="export the series again with it; nothing stands in for it"
        )
    return values


def _numbers(tags: Tags, keyword: str, count: int, path: Path) -> tuple[float, ...] | None:
    tag = tag_of(keyword)
    source = next((source for source in tags if tag in source), None)
    if source is None:
        return None
    try:
        numbers = _parsed(source, tag)
    except Exception:  # pydicom converts here, and what a broken value raises quotes it
        raise BenchError(f"{named(keyword)} is no number", where=path) from None
    if not numbers:
        return None
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise BenchError(f"{named(keyword)} is not {count} finite numbers", where=path)
    return numbers


def _parsed(source: Any, tag: BaseTag) -> tuple[float, ...]:
    """The numbers of a tag that is there. Raw values are parsed here: pydicom's own objects for them are slow."""
    item = source.get_item(tag)
    if isinstance(item.value, bytes):
        kind = item.VR or dictionary_VR(tag)  # implicit files name no kind
        if kind in ("DS", "IS"):
            words = item.value.decode("ascii").strip(" \0")
            return tuple(map(float, words.split("\\"))) if words else ()
        if kind == "US" and len(item.value) == 2 and item.is_little_endian:
            return (float(int.from_bytes(item.value, "little")),)
    value = source[tag].value
    if value is None or value == "":
        return ()
    listed: Sequence[Any] = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(map(float, listed))


def text(tags: Tags, keyword: str) -> str:
    """A tag's value as it stands in the file, "" where it is absent. Identities and codes alone are read by this."""
    tag = tag_of(keyword)
    value = next((source.get_item(tag).value for source in tags if tag in source), None)
    # Undecoded bytes: names need no character set to be compared, and none can fail.
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0")


@functools.cache
def tag_of(keyword: str) -> BaseTag:
    """The tag of a keyword."""
    return BaseTag(tag_for_keyword(keyword) or 0)


def named(keyword: str) -> str:
    """Keyword and tag as messages name them, "PixelSpacing (0028,0030)"."""
    tag = tag_of(keyword)
    return f"{keyword} ({tag >> 16:04x},{tag & 0xFFFF:04x})"
