"""Cases that live on a device: a batch is cut out where the training runs, and no voxel leaves the host for it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from baselines.batch import Loaded
from baselines.cache import Prepared
from baselines.crops import cut
from baselines.sampler import Draw
from baselines.transfer import sent
from converters.dataset import IGNORE

SHARE = 0.5  # of the free memory; the rest is the training's


def fits(cases: Sequence[Prepared], patch: Sequence[int], device: torch.device) -> bool:
    """Whether the cases may live on the device: a GPU with twice their size free."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return size(cases, patch) <= SHARE * free


def size(cases: Sequence[Prepared], patch: Sequence[int]) -> int:
    """Bytes that the cases take on a device."""
    voxels = [int(np.prod(_shape(case, patch))) for case in cases]
    return sum(n * (2 * len(case.image) + 1) for n, case in zip(voxels, cases, strict=True))


class Resident:
    """Every case of a view on one device, padded once to the patch where it is smaller."""

    def __init__(self, cases: Sequence[Prepared], patch: Sequence[int], device: torch.device) -> None:
        self.patch = tuple(patch)
        self.device = device
        self.trusted = [case.trusted for case in cases]
        self.values = [case.value for case in cases if case.value is not None]
        shapes = [_shape(case, patch) for case in cases]
        self.images = _room(
            [(len(case.image), *s) for case, s in zip(cases, shapes, strict=True)], torch.float16, device
        )
        self.targets = _room(shapes, torch.uint8, device)
        for case, image, target in zip(cases, self.images, self.targets, strict=True):
            shape = target.shape
            start = [min(0, (n - edge) // 2) for n, edge in zip(case.target.shape, shape, strict=True)]
            # Copied, for a pack's arrays cannot be written to, and torch has no such tensors.
            image.copy_(torch.from_numpy(np.array(cut(case.image, start, shape, None))))
            target.copy_(torch.from_numpy(np.array(cut(case.target[None], start, shape, IGNORE)[0])))

    def gather(self, draw: Draw, annotated: tuple[bool, ...]) -> Loaded:
        """The samples of a draw, the same as from the host. Waits for nothing.

        Args:
            draw: what the batch is made of.
            annotated: which samples hold an annotated voxel: `Sampler.annotated`.
        """
        images, targets = [], []
        for case, (z, start) in zip(draw.case, draw.places, strict=True):
            image, target = self.images[case], self.targets[case]
            if len(self.patch) == 2:
                image, target = image[:, z], target[z]
            for axis, (first, edge) in enumerate(zip(start, self.patch, strict=True)):
                # Where the first voxel is negative the case was padded by as much.
                image, target = image.narrow(axis + 1, max(first, 0), edge), target.narrow(axis, max(first, 0), edge)
            images.append(image)
            targets.append(target)
        facts = [draw.case, [at.slice for at in draw.places], [self.trusted[case] for case in draw.case]]
        sources = sent(torch.tensor(facts, dtype=torch.int64), self.device)
        return Loaded(
            image=torch.stack(images),
            target=torch.stack(targets),
            case=sources[0],
            slice=sources[1],
            trusted=sources[2].bool(),
            annotated=annotated,
            step=draw.step,
            value=self._value(draw),
        )

    def _value(self, draw: Draw) -> Tensor:
        """What a task asks of each sample's case; nothing crosses to the device where none asks."""
        if not self.values:
            return torch.empty(0, device=self.device)
        return sent(torch.tensor([self.values[case] for case in draw.case], dtype=torch.float32), self.device)


def _shape(case: Prepared, patch: Sequence[int]) -> tuple[int, ...]:
    """The case's shape, at least that of the patch along its axes."""
    least = (1,) * (3 - len(patch)) + tuple(patch)
    return tuple(max(n, edge) for n, edge in zip(case.target.shape, least, strict=True))


def _room(shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Tensors of these shapes in one piece of memory: the allocator rounds up once."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    flat = torch.empty(sum(sizes), dtype=dtype, device=device)
    return [part.view(shape) for part, shape in zip(torch.split(flat, sizes), shapes, strict=True)]
