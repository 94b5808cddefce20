"""Traps of the real set that a phantom takes on when asked: `--quirk name=value` -> the phantom's `Quirks`."""

import typing
from collections.abc import Sequence
from types import ModuleType

import msgspec

from converters.errors import UsageError, unknown_name


def asked(module: ModuleType, settings: Sequence[str]) -> dict[str, object]:
    """The keyword arguments of a phantom's `write`: its quirks, or none where nothing was asked for.

    A name alone means true; the values of a tuple are divided by commas.

    Raises:
        UsageError: the phantom has no such quirk, or the value does not fit.
    """
    if not settings:
        return {}
    known = typing.get_type_hints(module.Quirks) if hasattr(module, "Quirks") else {}
    found: dict[str, object] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            raise unknown_name("quirk", name, list(known))
        several = typing.get_origin(known[name]) is tuple
        found[name] = value.split(",") if several else value or "true"
    try:
        return {"quirks": msgspec.convert(found, module.Quirks, strict=False)}
    except msgspec.ValidationError as error:
        raise UsageError(f"--quirk: {error}", mend=f"quirks here: {', '.join(known)}") from None
