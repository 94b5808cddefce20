"""What training sees as datasets of torch, for loops of one's own: random patches, and whole cases."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from baselines.cache import prepare
from baselines.config import TrainConfig
from baselines.sampler import Draw, Sampler, gather
from converters.dataset import Dataset

Item = dict[str, Tensor | str | int]
LABELLED: Mapping[str, int] = {"labelled": 1}


class Patches(TorchDataset[Item]):
    """The samples of a training in their order, before augmentation: item i is sample i % batch of step i // batch.

    A pure function of seed and index, so workers and their number change nothing. Each item holds image (C, *patch)
    float32, normalised; target (*patch) int64, 255 where nobody annotated; case, its id; slice, its number in 2D,
    0 where samples are volumes.
    """

    def __init__(
        self,
        view: Dataset,
        config: TrainConfig,
        *,
        seed: int = 0,
        composition: Mapping[str, int] = LABELLED,
        cache: Path | None = None,
    ) -> None:
        """Prepare every case of a view or dataset.

        Args:
            view: the cases, with the labels that may be seen.
            config: patch, grid, window, batch, steps and shares of foreground; the rest is not looked at.
            seed: of the draws.
            composition: shares of a batch from "labelled" and "unlabelled" cases, as `Method.composition` has it.
            cache: folder of packs; None: prepared cases are held in memory.
        """
        self.config = config
        self.sampler = Sampler(prepare(view, config, cache), config, composition, seed)
        self._last: tuple[int, Draw] | None = None

    def __len__(self) -> int:
        return self.config.steps * self.config.batch

    def __getitem__(self, index: int) -> Item:
        if not 0 <= index < len(self):
            raise IndexError(index)
        step, row = divmod(index, self.config.batch)
        samples = gather(self.sampler.cases, self._draw(step).only([row]), self.config.patch)
        return {
            "image": torch.from_numpy(samples.image[0].astype(np.float32)),
            "target": torch.from_numpy(samples.target[0].astype(np.int64)),
            "case": self.sampler.cases[int(samples.case[0])].id,
            "slice": int(samples.slice[0]),
        }

    def _draw(self, step: int) -> Draw:
        if self._last is None or self._last[0] != step:
            self._last = step, self.sampler.draw(step)
        return self._last[1]


class Cases(TorchDataset[Item]):
    """Whole cases on the network's grid: image (C, D, H, W) float32, target (D, H, W) int64, the slice axis first."""

    def __init__(self, view: Dataset, config: TrainConfig, *, cache: Path | None = None) -> None:
        """See `Patches`."""
        self.cases = prepare(view, config, cache)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Item:
        case = self.cases[index]
        return {
            "image": torch.from_numpy(case.image.astype(np.float32)),
            "target": torch.from_numpy(case.target.astype(np.int64)),
            "case": case.id,
        }
