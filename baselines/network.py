"""A network by its name: the contract of a file of `baselines/networks/`, and `find(name)`."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType

from torch import nn

from baselines import networks
from baselines.config import NetSpec
from baselines.halves import Parts
from converters import shelf
from converters.errors import BenchError, EnvironmentFault, unknown_name

Built = tuple[nn.Module, tuple[int, ...]]  # a `halves.Body`, and what the edges of its input must be multiples of


@dataclasses.dataclass(frozen=True)
class About:
    """What a file says of its network, as `ABOUT`."""

    paper: str  # authors, venue, year: the table of docs/networks.md is made of these
    ndims: tuple[int, ...]  # of patches that it takes
    code: str = "ours"  # or the package whose layers it is made of


@dataclasses.dataclass(frozen=True)
class Found:
    """A network of `baselines/networks/`: `ABOUT` and `build(spec, parts, option=default, ...)` of its file."""

    name: str
    about: About
    build: Callable[..., Built]

    def make(self, spec: NetSpec, parts: Parts) -> Built:
        """Built, with the options of the recipe.

        Raises:
            UsageError: an option that it does not have; names those that it has.
            BenchError: it has not so many axes, no such norm, no weights to begin with, or fewer levels than scales.
            EnvironmentFault: a package that it is made of is not installed.
        """
        config, ndim = spec.config, len(spec.patch)
        if ndim not in self.about.ndims:
            takes = " and ".join(f"{n}D" for n in self.about.ndims)
            raise BenchError(f"{self.name} is {takes}", mend=f"give train.patch {self.about.ndims[0]} edges")
        if config.norm != "batch":
            raise BenchError(
                f"{self.name} has no {config.norm} norm: it keeps the norm it has",
                mend="leave train.net.norm at 'batch', or take train.net.arch = 'unet'",
            )
        if config.encoder_weights is not None:
            raise BenchError(f"{self.name} has no pre-trained encoder", mend="set train.net.encoder_weights to none")
        known = self.options
        for option in config.options:
            if option not in known:
                raise unknown_name("option", option, known)
        try:
            return self.build(spec, parts, **config.options)
        except BenchError:
            raise
        except (TypeError, ValueError) as error:
            raise BenchError(
                f"{self.name} cannot be built with {config.options}: {error}",
                mend=f"its options: {', '.join(f'{name} = {value}' for name, value in known.items())}",
            ) from error

    @property
    def options(self) -> Mapping[str, object]:
        """Name -> default."""
        parameters = list(inspect.signature(self.build).parameters.values())[2:]
        return {one.name: one.default for one in parameters}


def names() -> list[str]:
    """Every network that is a file of `baselines/networks/`."""
    return shelf.stems(networks)


def find(name: str) -> Found:
    """The network of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    module = shelf.module(networks, "network", name)
    return Found(name, module.ABOUT, module.build)


def needed(module: str, extra: str) -> ModuleType:
    """A module that a network is made of and that comes with an extra.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EnvironmentFault(
            f"this network needs the package {module.partition('.')[0]}: {error}",
            mend=f"pip install 'frugalseg[{extra}]'",
        ) from error
