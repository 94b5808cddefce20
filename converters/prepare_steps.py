"""The steps of a preparation: each loads a case with one more thing done to it, by the loading before it."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from converters.conform import check_grids
from converters.dataset import IGNORE
from converters.describe import as_label, drawn_in
from converters.errors import BenchError
from converters.join import outside
from converters.source import Info, Loaded
from converters.volume import WORLD, Volume, axis_codes, read_nifti

if TYPE_CHECKING:  # SimpleITK is loaded where something is prepared
    from converters.resample import Grid, Matrix

Load = Callable[[], Loaded]
Interpolation = Literal["bspline", "linear"]
Spacing = tuple[float, float, float]
Told = Mapping[str, str | float]


def sizes_told(spacing: tuple[float, ...]) -> str:
    """As 1x1x5."""
    return "x".join(f"{size:.6g}" for size in spacing)


@lru_cache(1)
def atlas_of(path: Path) -> Volume:
    """The atlas, read once.

    Raises:
        BenchError: it cannot be read, or is a picture.
    """
    volume = read_nifti(path)
    if 1 in volume.shape:
        raise BenchError("the atlas is a picture, not a volume", where=path)
    return volume


def sound(load: Load, info: Info) -> Loaded:
    """The case as it is loaded, after the checks of a conversion: on another grid a wrong label could not be told."""
    loaded = load()
    check_grids(info, loaded)
    for name, volume in drawn_in(loaded):
        as_label(name, volume, info)
    return loaded


def with_software(load: Load, _: Info) -> Loaded:
    """The case, saying what computes the steps after this one."""
    import SimpleITK

    loaded = load()
    version = f"SimpleITK {SimpleITK.Version.VersionString()}"
    return dataclasses.replace(loaded, preparation={**loaded.preparation, "software": version})


def kept(load: Load, _: Info, channels: tuple[str, ...]) -> Loaded:
    """The case with these of its channels alone, in this order."""
    loaded = load()
    return dataclasses.replace(
        loaded,
        images={name: loaded.images[name] for name in channels},
        acquisition={name: told for name, told in loaded.acquisition.items() if name in channels},
    )


def median(load: Load, _: Info, edge: int) -> Loaded:
    """Every image by the median over a cube of `edge` voxels."""
    from converters.resample import smoothed

    loaded = load()
    return dataclasses.replace(loaded, images={name: smoothed(each, edge) for name, each in loaded.images.items()})


def n4(load: Load, _: Info) -> Loaded:
    """Every image without its bias field."""
    from converters.resample import unbiased

    loaded = load()
    images = {name: unbiased(volume) for name, volume in loaded.images.items()}
    return dataclasses.replace(loaded, images=images)


def in_atlas(load: Load, info: Info, path: Path, interpolation: Interpolation) -> Loaded:
    """The case in the space of an atlas, by an affine registration of its first image.

    Raises:
        BenchError: its files say nothing of millimetres.
    """
    from converters.registration import affine, covered, numbers
    from converters.resample import grid_of

    loaded, atlas = load(), atlas_of(path)
    _needs_millimetres(loaded)
    first = next(iter(loaded.images.values()))
    matrix = affine(atlas, first)
    told: Told = {
        "matrix_atlas": numbers(matrix),
        "covered_atlas": round(covered(atlas, first, matrix), 3),
        "axes_before_atlas": axis_codes(first.affine),
    }
    moved = _moved(loaded, info, Target(grid_of(atlas), interpolation, matrix))
    return dataclasses.replace(moved, stack_axis=None, preparation={**loaded.preparation, **told})


def respaced_to(load: Load, info: Info, spacing: Spacing, interpolation: Interpolation) -> Loaded:
    """The case on its own axes with another spacing in mm along right, anterior, superior.

    Raises:
        BenchError: its files say nothing of millimetres.
    """
    from converters.resample import grid_of, respaced

    loaded = load()
    _needs_millimetres(loaded)
    first = next(iter(loaded.images.values()))
    along = [spacing[WORLD[code]] for code in axis_codes(first.affine)]
    grid = respaced(grid_of(first), (along[0], along[1], along[2]))
    told = {"spacing_mm_before": sizes_told(_in_ras(first))}
    moved = loaded if grid.affine is first.affine else _moved(loaded, info, Target(grid, interpolation))
    return dataclasses.replace(moved, preparation={**loaded.preparation, **told})


def _in_ras(volume: Volume) -> tuple[float, ...]:
    """Spacing along right, anterior and superior."""
    worlds = [WORLD[code] for code in axis_codes(volume.affine)]
    return tuple(volume.spacing[worlds.index(world)] for world in range(3))


class Target(NamedTuple):
    """Where to, and how."""

    grid: "Grid"
    interpolation: Interpolation
    matrix: "Matrix | None" = None


def _moved(loaded: Loaded, info: Info, target: Target) -> Loaded:
    """All volumes of the case on another grid. Outside: air or 0, background, and 255 in annotation sets."""
    from converters.resample import NEAREST, Rule, onto

    grid, how, matrix = target
    values = {channel.name: Rule(how, outside(channel)) for channel in info.channels}
    nobody = Rule("nearest", float(IGNORE))
    return dataclasses.replace(
        loaded,
        images={name: onto(volume, grid, values[name], matrix) for name, volume in loaded.images.items()},
        label=None if loaded.label is None else onto(_bytes(loaded.label), grid, NEAREST, matrix),
        annotations={name: onto(_bytes(v), grid, nobody, matrix) for name, v in loaded.annotations.items()},
    )


def _bytes(volume: Volume) -> Volume:
    """A label map as uint8, which holds every code that passed the check."""
    return Volume(volume.array.astype(np.uint8, copy=False), volume.affine)


def _needs_millimetres(loaded: Loaded) -> None:
    if not loaded.spacing_known:
        raise BenchError("the files say nothing of millimetres", mend="convert it without --spacing and --atlas")
