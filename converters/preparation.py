"""Preparation on request: a median filter, N4, datasets joined, an atlas' space, another spacing.

`docs/preparation.md` is the rule. All of it is off unless asked for, stands in dataset.json and in every sidecar, and
gives a dataset of another name.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from converters.conform import check_grids
from converters.dataset import IGNORE
from converters.describe import as_label, drawn_in
from converters.errors import BenchError, UsageError
from converters.files import safe_id
from converters.join import Found, Register, Way, chosen, joined, outside
from converters.source import Info, Loaded
from converters.volume import WORLD, Volume, axis_codes, data_sha256, read_nifti

if TYPE_CHECKING:  # SimpleITK is loaded where something is prepared
    from converters.resample import Grid, Matrix

Load = Callable[[], Loaded]
Interpolation = Literal["bspline", "linear"]
Spacing = tuple[float, float, float]
Told = Mapping[str, str | float]


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is asked for beyond a conversion; nothing by default."""

    spacing: Spacing | None = None  # mm along right, anterior, superior
    interpolation: Interpolation = "bspline"  # of images
    join: tuple[str, ...] = ()  # datasets, the one with the grid and the labels first
    register: Register = "header"  # how the joined ones come onto one grid
    atlas: Path | None = None
    n4: bool = False
    median: int = 0  # edge of the window in voxels; 0: no filter

    def __post_init__(self) -> None:
        if self.spacing and not all(math.isfinite(s) and 0 < s <= 100 for s in self.spacing):
            asked = ",".join(f"{s:g}" for s in self.spacing)
            raise UsageError(f"a spacing of {asked} mm", mend="give three sizes above 0 and up to 100 mm: 1,1,1")
        if self.median and (self.median < 3 or self.median % 2 == 0):
            raise UsageError(f"a median over {self.median} voxels", mend="give an odd number from 3")
        if len(self.join) == 1 or len(set(self.join)) < len(self.join):
            raise UsageError(f"to join {', '.join(self.join)}", mend="name two or more datasets, each once")
        if self.register != "header" and not self.join:
            raise UsageError(f"--register {self.register} without datasets to join", mend="name them with --join")
        if self.interpolation != "bspline" and not (self.spacing or self.join or self.atlas):
            raise UsageError(f"--interpolation {self.interpolation} with nothing to resample", mend="leave it out")

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps in their order."""
        on = {"median": self.median, "n4": self.n4, "join": self.join, "atlas": self.atlas, "spacing": self.spacing}
        return tuple(step for step, asked in on.items() if asked)


NOTHING = Preparation()


def spacing_of(text: str) -> Spacing:
    """The three numbers of "1,1,5".

    Raises:
        UsageError: they are none.
    """
    try:
        x, y, z = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"'{text}' is no spacing", mend="give X,Y,Z in mm, as 1,1,5") from None
    return x, y, z


def applied(found: list[Found], preparation: Preparation) -> list[Found]:
    """The datasets as they will be: other names, a warning, what was asked for, and cases that load prepared.

    Raises:
        UsageError: the steps do not fit the datasets.
        BenchError: the atlas cannot be read.
    """
    if not preparation.steps:
        return found
    done = chosen(found, preparation.join) if preparation.join else found
    for info, _ in done:
        _check(info, preparation)
    how = preparation.interpolation
    done = [_step(one, _sound) for one in done]
    if preparation.median:
        done = [_step(one, _median, preparation.median) for one in done]
    if preparation.n4:
        done = [_step(one, _n4) for one in done]
    if preparation.join:
        done = [joined(done, Way(preparation.register, how))]
    if preparation.atlas:
        done = [_step(one, _in_atlas, preparation.atlas, how) for one in done]
    if preparation.spacing:
        done = [_step(one, _respaced, preparation.spacing, how) for one in done]
    asked = _recorded(preparation)
    return [(_info(info, preparation, asked), cases) for info, cases in done]


def _check(info: Info, preparation: Preparation) -> None:
    """Refuse steps that make no sense for what the dataset shows."""
    strange = [channel.name for channel in info.channels if channel.modality != "MR"]
    if preparation.n4 and strange:
        raise UsageError(
            f"N4 is for MR; {info.name} has {', '.join(strange)}",
            mend="leave out --n4, or pick the datasets of MR with --only",
        )
    if info.ndim == 2 and (preparation.n4 or preparation.atlas or preparation.join):
        raise UsageError(f"{info.name} holds pictures; N4, joining and an atlas are for volumes")
    if info.preparation:
        raise UsageError(f"{info.name} was prepared before it came here", mend="prepare the original data")


def _step(found: Found, step: Callable[..., Loaded], *arguments: object) -> Found:
    """The dataset with one more thing done to every case after it is loaded."""
    info, cases = found
    return info, [dataclasses.replace(case, load=partial(step, case.load, info, *arguments)) for case in cases]


def _info(info: Info, preparation: Preparation, asked: Told) -> Info:
    warning = (
        f"prepared ({', '.join(preparation.steps)}): scores on it are not comparable with those on native grids "
        "or of other preparations"
    )
    name = safe_id("-".join([info.name, *_suffixes(preparation)]))
    return dataclasses.replace(info, name=name, warnings=(*info.warnings, warning), preparation=asked)


def _suffixes(preparation: Preparation) -> list[str]:
    """What was asked for, in a name: median3, n4, rigid, in-mni152, 1x1x5mm, linear."""
    found = [f"median{preparation.median}"] if preparation.median else []
    found += ["n4"] if preparation.n4 else []
    found += ["rigid"] if preparation.register == "rigid" else []
    found += [f"in-{safe_id(_title(preparation.atlas))}"] if preparation.atlas else []
    found += [_by(preparation.spacing).replace(".", "p") + "mm"] if preparation.spacing else []
    return found + (["linear"] if preparation.interpolation == "linear" else [])


def _by(spacing: tuple[float, ...]) -> str:
    return "x".join(f"{size:.6g}" for size in spacing)


def _title(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").replace(".", "-")


def _recorded(preparation: Preparation) -> dict[str, str | float]:
    """What was asked for with its parameters. `steps` names all of it, so fewer steps are never taken for the same."""
    from converters.registration import AFFINE, RIGID
    from converters.resample import MEDIAN, N4

    found: dict[str, str | float] = {"steps": ", ".join(preparation.steps)}
    if preparation.median:
        found["median"] = MEDIAN.format(preparation.median)
    if preparation.n4:
        found["n4"] = N4
    if preparation.join:
        found |= {"join": ", ".join(preparation.join), "register": preparation.register}
    if preparation.register == "rigid":
        found["rigid"] = RIGID
    if preparation.atlas:
        volume = _atlas(preparation.atlas)
        found |= {"atlas": _title(preparation.atlas), "atlas_sha256": data_sha256(volume), "affine": AFFINE}
    if preparation.spacing:
        found["spacing_mm"] = _by(preparation.spacing)
    if set(preparation.steps) - {"median", "n4"}:
        found["interpolation"] = preparation.interpolation
    return found


@lru_cache(1)
def _atlas(path: Path) -> Volume:
    volume = read_nifti(path)
    if 1 in volume.shape:
        raise BenchError("the atlas is a picture, not a volume", where=path)
    return volume


def _sound(load: Load, info: Info) -> Loaded:
    """The case as it is loaded, after the checks of a conversion: on another grid a wrong label could not be told."""
    import SimpleITK

    loaded = load()
    check_grids(info, loaded)
    for name, volume in drawn_in(loaded):
        as_label(name, volume, info)
    version = f"SimpleITK {SimpleITK.Version.VersionString()}"
    return dataclasses.replace(loaded, preparation={**loaded.preparation, "software": version})


def _median(load: Load, _: Info, edge: int) -> Loaded:
    from converters.resample import smoothed

    loaded = load()
    return dataclasses.replace(loaded, images={name: smoothed(each, edge) for name, each in loaded.images.items()})


def _n4(load: Load, _: Info) -> Loaded:
    from converters.resample import unbiased

    loaded = load()
    images = {name: unbiased(volume) for name, volume in loaded.images.items()}
    return dataclasses.replace(loaded, images=images)


def _in_atlas(load: Load, info: Info, path: Path, interpolation: Interpolation) -> Loaded:
    from converters.registration import affine, covered, numbers
    from converters.resample import grid_of

    loaded, atlas = load(), _atlas(path)
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


def _respaced(load: Load, info: Info, spacing: Spacing, interpolation: Interpolation) -> Loaded:
    from converters.resample import grid_of, respaced

    loaded = load()
    _needs_millimetres(loaded)
    first = next(iter(loaded.images.values()))
    along = [spacing[WORLD[code]] for code in axis_codes(first.affine)]
    grid = respaced(grid_of(first), (along[0], along[1], along[2]))
    told = {"spacing_mm_before": _by(_in_ras(first))}
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
