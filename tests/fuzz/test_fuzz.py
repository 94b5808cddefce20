"""The fuzz targets without a fuzzer: their seeds, seeds with bytes changed, and everything that was ever found."""

import random
from pathlib import Path

import pytest
from targets import TARGETS

FOUND = Path(__file__).with_name("found")
CHANGED = 60


def changed(seed: bytes, random: random.Random) -> bytes:
    """A seed cut, with bytes replaced, or both."""
    data = bytearray(seed)
    for _ in range(random.choice((1, 2, 8))):
        data[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(data[: random.randrange(1, len(data) + 1)] if random.random() < 0.2 else data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_damaged_is_refused_in_words(name):
    target, dice = TARGETS[name], random.Random(name)
    seeds = target.seeds()
    tried = [*seeds, *(changed(dice.choice(seeds), dice) for _ in range(CHANGED)), b"", b"\0"]
    for data in tried:
        try:
            target.one(data)
        except Exception as error:  # the bytes are what one needs to see it again
            pytest.fail(f"{name}: {type(error).__name__}: {error}; bytes.fromhex({data.hex()[:2000]!r})")


@pytest.mark.parametrize("path", sorted(FOUND.rglob("*.bin")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_was_found_once_is_refused_in_words(path):
    TARGETS[path.parent.name].one(path.read_bytes())
