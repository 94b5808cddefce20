"""A view's cases on the network's grid: read, checked, normalised and resampled once, then sampled from a pack."""

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from baselines.config import TrainConfig
from baselines.grid import faced, network_size, normalise, resample, resample_labels, to_network
from baselines.pack import Arrays, packed
from baselines.stages import DOUBTED
from converters.dataset import IGNORE, Case, Dataset
from converters.errors import BenchError
from converters.files import digest
from converters.volume import data_sha256, read_label, read_nifti

PREPROCESSING = 3  # raised when the same case would be prepared otherwise


class Extent(enum.IntEnum):
    """How much of a slice is annotated."""

    NONE = 0
    SOME = 1
    ALL = 2


@dataclasses.dataclass(frozen=True)
class Prepared:
    """One case on the network's grid; views of mapped files where they come from packs.

    Shape: image (C, D, H, W) float16; target (D, H, W) uint8, 255 where nobody annotated; foreground (n,) uint32, where
    in the flat target somebody annotated a structure, ascending; extent (D,) uint8, an `Extent` per slice, looked up
    where it is not given; structures: where each structure that is annotated lies, if samples are drawn by class;
    value: the number that a task asks for, NaN where the view shows none; None in all cases where no task asks for one.
    """

    id: str
    image: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    foreground: npt.NDArray[np.uint32]
    trusted: bool = False  # annotated, and the view does not call the label noisy
    extent: npt.NDArray[np.uint8] = dataclasses.field(default_factory=lambda: np.empty(0, np.uint8))
    structures: tuple[npt.NDArray[np.uint32], ...] = ()
    value: float | None = None

    def __post_init__(self) -> None:
        """Look up what of the target is annotated, unless that is known."""
        if not len(self.extent):
            object.__setattr__(self, "extent", extent(self.target))
        if self.value is not None and not math.isnan(self.value):  # it is that of every slice
            object.__setattr__(self, "extent", np.full(len(self.target), Extent.ALL, np.uint8))

    @property
    def annotated(self) -> bool:
        """Whether anybody annotated anything in this case."""
        return bool((self.extent != Extent.NONE).any())


def read_image(dataset: Dataset, case: Case) -> npt.NDArray[np.generic]:
    """The case's channels in network axes; voxels are checked against the sidecar's digest.

    Shape: (C, D, H, W).

    Raises:
        BenchError: a file is not the one the sidecar describes.
    """
    channels = []
    for file in case.images.values():
        path = dataset.path(file.file)
        volume = read_nifti(path)
        if data_sha256(volume) != file.data_sha256:
            raise BenchError(
                f"{case.id}: the image is not the one its sidecar describes", where=path, mend="convert again"
            )
        channels.append(to_network(volume.array, case.geometry))
    return np.stack(channels)


def prepare(
    view: Dataset, config: TrainConfig, root: Path | None = None, values: Mapping[str, float] | None = None
) -> list[Prepared]:
    """Every case of a view, ready to sample. Reads the view's folder and the images it names, nothing else.

    Args:
        view: the cases, with the labels that may be seen.
        config: decides the network's grid and the window of intensities.
        root: folder of packs, in which images are shared by all views of the same cases; None: in memory.
        values: of the cases, by id, where the task asks for one; see `Prepared.value`.
    """
    view = dataclasses.replace(view, cases=tuple(faced(case, config) for case in view.cases))

    def part(name: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        return packed(root, _made_of(view, config, name), make)

    images = part("images", partial(_images, view, config))
    targets = part("targets", partial(_targets, view, config))
    inside = part("foreground", lambda: ((case, foreground(target)) for case, target in targets.items()))
    extents = part("extent", lambda: ((case, extent(target)) for case, target in targets.items()))
    codes = _codes(view) if config.foreground_by == "class" else []
    by_class = part(f"structures {codes}", partial(_structures, targets, codes)) if codes else {}
    return [
        Prepared(
            id=case.id,
            image=images[case.id],
            target=targets[case.id],
            foreground=inside[case.id],
            trusted=case.label is not None and case.label.kind not in ("noisy", "pseudo"),
            extent=extents[case.id],
            structures=tuple(by_class[f"{case.id}/{code}"] for code in codes if len(by_class[f"{case.id}/{code}"])),
            value=values.get(case.id, math.nan) if values else None,
        )
        for case in view.cases
    ]


def _codes(view: Dataset) -> list[tuple[int, ...]]:
    """The codes of each structure, sorted: several where it is a region, which others may overlap."""
    return sorted(value if isinstance(value, tuple) else (value,) for value in view.labels.values())


def _structures(targets: Mapping[str, np.ndarray], codes: Sequence[tuple[int, ...]]) -> Arrays:
    for case, target in targets.items():
        for code in codes:
            yield f"{case}/{code}", _where(np.isin(target, [*code, *(c + DOUBTED for c in code)]))


def _made_of(view: Dataset, config: TrainConfig, part: str) -> dict[str, str]:
    """All that decides the bytes of a pack: voxels, grids, settings, and what computes with them."""
    cases: list[object] = []
    for case in view.cases:
        seen = (
            [i.data_sha256 for i in case.images.values()] if part == "images" else case.label and case.label.data_sha256
        )
        cases.append([case.id, case.geometry, seen])
    # Of the patch only what the grid depends on: another patch on the same spacing is the same pack.
    patch = config.patch if config.grid == "resize" else len(config.patch)
    preprocessing: list[object] = [patch, config.grid, config.window if part == "images" else None]
    # What came later is left out at its default: the packs of before are still those of today.
    preprocessing += [config.intensity] if part == "images" and config.intensity != "window" else []
    return {
        "dataset": view.name,
        "part": part,
        "cases": digest(cases),
        "preprocessing": digest([PREPROCESSING, preprocessing]),
        "torch": f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()}",
        "numpy": np.__version__,
    }


def _images(view: Dataset, config: TrainConfig) -> Arrays:
    for case in view.cases:
        image = normalise(read_image(view, case), config.window, config.intensity)
        image = resample(image, network_size(case.geometry, config))
        yield case.id, image.numpy().astype(np.float16)


def _targets(view: Dataset, config: TrainConfig) -> Arrays:
    for case in view.cases:
        size = network_size(case.geometry, config)
        target = np.full(size, IGNORE, np.uint8)
        if case.label is not None:
            label = to_network(read_label(view.path(case.label.file)).array, case.geometry)
            target = resample_labels(label.astype(np.uint8), size)
        yield case.id, target


def foreground(target: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Where in the flat target somebody annotated a structure, ascending."""
    return _where((target != 0) & (target != IGNORE) & (target != DOUBTED))


def extent(target: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """How much of each slice somebody annotated, an `Extent`. Shape: (D, H, W) -> (D,)."""
    annotated = (target != IGNORE).reshape(len(target), -1)
    return np.where(annotated.all(1), Extent.ALL, np.where(annotated.any(1), Extent.SOME, Extent.NONE)).astype(np.uint8)


def _where(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    return np.flatnonzero(mask).astype(np.uint32)


def counts(cases: Iterable[Prepared]) -> tuple[int, int]:
    """Cases with and without any annotation."""
    flags = [case.annotated for case in cases]
    return sum(flags), len(flags) - sum(flags)
