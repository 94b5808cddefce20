"""Preparation on request: a median filter, N4, datasets joined, fewer channels, an atlas' space, another spacing.

`docs/preparation.md` is the rule. All of it is off unless asked for, stands in dataset.json and in every sidecar, and
gives a dataset of another name.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from converters.errors import UsageError, closest
from converters.files import safe_id
from converters.join import Found, Register, Way, chosen, joined
from converters.prepare_steps import (
    Interpolation,
    Spacing,
    Told,
    atlas_of,
    in_atlas,
    kept,
    median,
    n4,
    respaced_to,
    sizes_told,
    sound,
    with_software,
)
from converters.source import Info, Loaded
from converters.volume import data_sha256


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is asked for beyond a conversion; nothing by default."""

    spacing: Spacing | None = None  # mm along right, anterior, superior
    interpolation: Interpolation = "bspline"  # of images
    join: tuple[str, ...] = ()  # datasets, the one with the grid and the labels first
    register: Register = "header"  # how the joined ones come onto one grid
    channels: tuple[str, ...] = ()  # of the dataset, or of the joined one, in this order; nothing: all
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
        if len(set(self.channels)) < len(self.channels):
            raise UsageError(f"the channels {', '.join(self.channels)}", mend="name each once")
        if self.register != "header" and not self.join:
            raise UsageError(f"--register {self.register} without datasets to join", mend="name them with --join")
        if self.interpolation != "bspline" and not (self.spacing or self.join or self.atlas):
            raise UsageError(f"--interpolation {self.interpolation} with nothing to resample", mend="leave it out")

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps in their order."""
        on = {"median": self.median, "n4": self.n4, "join": self.join, "channels": self.channels}
        on |= {"atlas": self.atlas, "spacing": self.spacing}
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
    done = [_by_itself(one, preparation) for one in done]
    how = preparation.interpolation
    if preparation.join:
        done = [_selected(joined(done, Way(preparation.register, how)), preparation.channels)]
    if preparation.atlas:
        done = [_step(one, in_atlas, preparation.atlas, how) for one in done]
    if preparation.spacing:
        done = [_step(one, respaced_to, preparation.spacing, how) for one in done]
    asked = _recorded(preparation)
    return [(_info(info, preparation, asked), cases) for info, cases in done]


def _by_itself(found: Found, preparation: Preparation) -> Found:
    """The dataset with the steps that take its channels one by one, each on its own grid."""
    found = _step(found, sound)
    if not preparation.join:  # so nothing is computed of what is left out
        found = _selected(found, preparation.channels)
    if preparation.steps != ("channels",):
        found = _step(found, with_software)
    if preparation.median:
        found = _step(found, median, preparation.median)
    return _step(_of_mr(found), n4) if preparation.n4 else found


def _check(info: Info, preparation: Preparation) -> None:
    """Refuse steps that make no sense for what the dataset shows."""
    if info.ndim == 2 and (preparation.n4 or preparation.atlas or preparation.join):
        raise UsageError(f"{info.name} holds pictures; N4, joining and an atlas are for volumes")
    if info.preparation:
        raise UsageError(f"{info.name} was prepared before it came here", mend="prepare the original data")


def _of_mr(found: Found) -> Found:
    """The dataset, of which every channel is MR."""
    info, _ = found
    if strange := [channel.name for channel in info.channels if channel.modality != "MR"]:
        raise UsageError(
            f"N4 is for MR; {info.name} has {', '.join(strange)}",
            mend="leave out --n4, or pick the datasets of MR with --only",
        )
    return found


def _selected(found: Found, names: tuple[str, ...]) -> Found:
    """The dataset with these channels alone, in this order; it says of which. All where none is named."""
    info, cases = found
    if not names:
        return found
    there = {channel.name: channel for channel in info.channels}
    for name in names:
        if name not in there:
            near = closest(name, there)
            raise UsageError(
                f"{info.name} has no channel '{name}'." + (f" Did you mean '{near}'?" if near else ""),
                mend=f"its channels: {', '.join(there)}; of several datasets --only takes those that have it",
            )
    info = dataclasses.replace(
        info,
        channels=tuple(there[name] for name in names),
        preparation={"channels": f"{', '.join(names)} of {', '.join(there)}"},
    )
    return _step((info, cases), kept, names)


def _step(found: Found, step: Callable[..., Loaded], *arguments: object) -> Found:
    """The dataset with one more thing done to every case after it is loaded."""
    info, cases = found
    return info, [dataclasses.replace(case, load=partial(step, case.load, info, *arguments)) for case in cases]


def _info(info: Info, preparation: Preparation, asked: Told) -> Info:
    native = "all channels" if preparation.steps == ("channels",) else "native grids"
    warning = (
        f"prepared ({', '.join(preparation.steps)}): scores on it are not comparable with those on {native} "
        "or of other preparations"
    )
    name = safe_id("-".join([info.name, *_suffixes(preparation)]))
    asked = {**asked, **info.preparation}
    return dataclasses.replace(info, name=name, warnings=(*info.warnings, warning), preparation=asked)


def _suffixes(preparation: Preparation) -> list[str]:
    """What was asked for, in a name: t1, median3, n4, rigid, in-mni152, 1x1x5mm, linear."""
    found = [re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") for name in preparation.channels]
    found += [f"median{preparation.median}"] if preparation.median else []
    found += ["n4"] if preparation.n4 else []
    found += ["rigid"] if preparation.register == "rigid" else []
    found += [f"in-{safe_id(_title(preparation.atlas))}"] if preparation.atlas else []
    found += [sizes_told(preparation.spacing).replace(".", "p") + "mm"] if preparation.spacing else []
    return found + (["linear"] if preparation.interpolation == "linear" else [])


def _title(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").replace(".", "-")


def _recorded(preparation: Preparation) -> dict[str, str | float]:
    """What was asked for with its parameters, but for `channels`, which each dataset has of its own.

    `steps` names all of it, so fewer steps are never taken for the same.
    """
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
        volume = atlas_of(preparation.atlas)
        found |= {"atlas": _title(preparation.atlas), "atlas_sha256": data_sha256(volume), "affine": AFFINE}
    if preparation.spacing:
        found["spacing_mm"] = sizes_told(preparation.spacing)
    if set(preparation.steps) - {"median", "n4", "channels"}:
        found["interpolation"] = preparation.interpolation
    return found
