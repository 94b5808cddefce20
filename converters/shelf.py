"""Packages of which each file is one thing of a kind, found by its name: sources, exports, methods, annotators."""

import importlib
import pkgutil
from types import ModuleType

from converters.errors import unknown_name


def stems(package: ModuleType) -> list[str]:
    """The names of its files, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def module(package: ModuleType, kind: str, name: str) -> ModuleType:
    """The file of that name, imported; `kind` is what a person calls it.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    if name not in stems(package):
        raise unknown_name(kind, name, stems(package))
    return importlib.import_module(f"{package.__name__}.{name}")
