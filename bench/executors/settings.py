"""What is asked of a cluster for each run, as it is typed: KEY=VALUE, given as often as needed."""

from collections.abc import Sequence

from converters.errors import UsageError

Value = bool | int | float | str


def parse(flag: str, typed: Sequence[str]) -> dict[str, Value]:
    """The values by key, whole numbers and fractions as such; later wins.

    Raises:
        UsageError: one has no key or no value.
    """
    found: dict[str, Value] = {}
    for text in typed:
        key, equals, value = text.partition("=")
        if not key or not equals or not value:
            raise UsageError(f"{flag} '{text}' is not KEY=VALUE", mend=f"{flag} gpus_per_node=1")
        found[key.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
