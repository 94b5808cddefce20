"""A network slid over an image: logits of overlapping windows, blended; of a 2D network, a few slices at a time."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from baselines.config import PredictConfig
from baselines.grid import resample
from baselines.memory import out_of_memory
from baselines.method import Method
from converters.errors import EnvironmentFault

PASS = {"cpu": 4 * 256 * 256, "cuda": 64 * 256 * 256}  # voxels of one forward pass; on a CPU more took longer
MIRRORS = ((-1,), (-2,), (-2, -1))  # the axes that lie in a slice

DEFAULT = PredictConfig()

Patch = tuple[int, int, int]
Place = tuple[slice, slice, slice]


@dataclasses.dataclass
class Windows:
    """How a method is slid over images. The patch of a 2D network is (1, h, w)."""

    method: Method
    patch: Patch
    config: PredictConfig = DEFAULT
    batch: int = 1  # windows of a pass; halved where they do not fit into memory, which moves no result
    filled: bool = False  # the last pass repeats a window until it is full: all have the shape that was compiled

    @property
    def flat(self) -> bool:
        """Whether the network is 2D."""
        return self.patch[0] == 1

    def logits(self, image: Tensor) -> Iterator[Tensor]:
        """Blended logits of slabs of whole slices, in order; of a 3D network, of the whole image.

        Shape: image (C, D, H, W) -> (K, d, H, W) float32 each.

        Raises:
            EnvironmentFault: not even one window fits into memory.
        """
        thick = image.shape[1]
        if self.flat:
            thick = max(1, self.batch // len(_places((1, *image.shape[2:]), self.patch, self.config.overlap)))
        for slab in torch.split(image, thick, dim=1):
            yield self._blended(slab)

    def answers(self, image: Tensor) -> Iterator[Tensor]:
        """What a network that gives one answer for a patch says of each window, mirrored ones included.

        Shape: image (C, D, H, W) -> (K,) each.
        """
        image = self._padded(image)
        for _, values in self._each(image, _places(image.shape[1:], self.patch, self.config.overlap)):
            yield values.flatten()

    def _padded(self, image: Tensor) -> Tensor:
        """An image that is at least as large as the patch."""
        missing = _missing(image.shape[1:], self.patch)
        return torch.nn.functional.pad(image[None], missing, mode="replicate")[0] if any(missing) else image

    def _blended(self, image: Tensor) -> Tensor:
        """Each window weighted by a Gaussian about its centre. Shape: (C, D, H, W) -> (K, D, H, W) float32."""
        size = image.shape[1:]
        image = self._padded(image)
        weight = _gaussian(self.patch).to(image.device)
        total, weights = None, torch.zeros(image.shape[1:], device=image.device)
        for place, values in self._each(image, _places(image.shape[1:], self.patch, self.config.overlap)):
            if total is None:
                total = torch.zeros((len(values), *image.shape[1:]), device=image.device)
            total[(slice(None), *place)] += values * weight
            weights[place] += weight
        assert total is not None  # every image has at least one window
        return total.div_(weights)[(slice(None), *(slice(0, s) for s in size))]

    def _each(self, image: Tensor, places: Sequence[Place]) -> Iterator[tuple[Place, Tensor]]:
        """Every window and its logits (K, *patch)."""
        done = 0
        while done < len(places):
            chunk = places[done : done + self.batch]
            logits = self._attempt(image, chunk)
            if logits is not None:
                yield from zip(chunk, logits[: len(chunk)], strict=True)
                done += len(chunk)

    def _attempt(self, image: Tensor, places: Sequence[Place]) -> Tensor | None:
        """Logits of a pass, or None where memory did not do and the next may be half as large."""
        repeated = [places[-1]] * (self.batch - len(places)) if self.filled else []
        try:
            windows = torch.stack([image[(slice(None), *place)] for place in (*places, *repeated)])
            return self._mirrored(windows[:, :, 0])[:, :, None] if self.flat else self._mirrored(windows)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if self.batch == 1:
                raise EnvironmentFault(
                    f"a window of {list(self.patch)} voxels does not fit into memory",
                    where=str(image.device),
                    mend="close what else runs there, or take --device cpu",
                ) from error
        self.batch //= 2
        if image.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _mirrored(self, windows: Tensor) -> Tensor:
        """Logits of windows, or their mean over the mirror images. Shape: (B, C, *S) -> (B, K, *S)."""
        logits = self.method.logits(windows)
        if not self.config.mirror:
            return logits
        for axes in MIRRORS:
            mirrored = self.method.logits(windows.flip(axes))
            logits = logits + (mirrored.flip(axes) if mirrored.ndim == windows.ndim else mirrored)
        return logits / (1 + len(MIRRORS))


def pass_of(patch: Patch, device: torch.device) -> int:
    """Windows of a pass, so that it holds about as many voxels whatever the patch."""
    return max(1, PASS.get(device.type, PASS["cpu"]) // math.prod(patch))


def labels_at(logits: Tensor, size: Sequence[int]) -> Tensor:
    """The class of the largest logit at another size, of equals the first; one class at a time is resampled.

    Shape: logits (K, D, H, W), which may be written over -> size, uint8.
    """
    best = resample(logits[:1], size)[0]
    labels = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for number in range(1, len(logits)):
        values = resample(logits[number : number + 1], size)[0]
        labels.masked_fill_(values > best, number)
        torch.maximum(best, values, out=best)
    return labels


def _places(size: Sequence[int], patch: Patch, overlap: float) -> list[Place]:
    """Where the windows of an image lie: evenly spread, neighbours sharing at least `overlap` of the edge."""
    axes = []
    for length, edge in zip(size, patch, strict=True):
        count = 1 + max(0, -(-(length - edge) // max(1, int(edge * (1 - overlap)))))
        starts = np.linspace(0, max(0, length - edge), count)
        axes.append([slice(start, start + edge) for start in sorted({round(s) for s in starts})])
    return [(first, second, third) for first, second, third in itertools.product(*axes)]


def _missing(size: Sequence[int], patch: Sequence[int]) -> list[int]:
    """Padding at the end of each axis that is shorter than the patch, last axis first as torch wants it."""
    return [n for s, edge in zip(reversed(size), reversed(patch), strict=True) for n in (0, max(0, edge - s))]


def _gaussian(patch: Sequence[int]) -> Tensor:
    """Weight of each voxel of a window: Gaussian with SD an eighth of the edge, never below 1 % of the peak."""
    weight = torch.ones(())
    for edge in patch:
        offset = torch.arange(edge) - (edge - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (offset / (edge / 8)) ** 2)
    return weight.clamp(min=0.01 * float(weight.max()))
