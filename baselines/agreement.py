"""Whether half precision is good enough: the label maps of a model against those it makes in float32."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from baselines.model import read_spec
from baselines.predict import Setting, predict
from baselines.task import LABELS
from converters.dataset import Case, Dataset
from converters.errors import UsageError
from converters.files import Strict
from converters.volume import read_label

MOST = 1e-4  # share of voxels that may differ


class Agreement(Strict):
    """Voxels of some cases whose label is another one in float32."""

    cases: int
    voxels: int
    differ: int

    @property
    def share(self) -> float:
        """Of all voxels."""
        return self.differ / self.voxels


def with_float32(model: Path, dataset: Dataset, cases: Sequence[Case], made: Path, setting: Setting) -> Agreement:
    """Predict cases again in float32, all else alike, and compare with the label maps in `made`.

    Raises:
        UsageError: what the model predicts is no label map.
        BenchError: as `predict`.
    """
    if (task := read_spec(model).task) != LABELS:
        raise UsageError(f"label maps are compared, and the model's task is {task}", mend="leave --check out")
    exact = msgspec.structs.replace(setting.config, precision="fp32")
    voxels = differ = 0
    with tempfile.TemporaryDirectory() as scratch:
        predict(model, dataset, cases, Path(scratch), dataclasses.replace(setting, config=exact))
        for case in cases:
            ours, theirs = (read_label(folder / f"{case.id}.nii.gz").array for folder in (made, Path(scratch)))
            voxels += ours.size
            differ += int((ours != theirs).sum())
    return Agreement(cases=len(cases), voxels=voxels, differ=differ)
