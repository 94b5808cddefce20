"""Tasks with one value for a case, a class or a number that its facts hold: target, loss, answer."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.config import Settings
from baselines.goal import Goal
from baselines.losses import cross_entropy
from baselines.task import Task
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError

Answer = dict[str, str | float | dict[str, float]]
_DIGITS = 6


class Known(Settings):
    """What a model holds of its training cases: the classes that are there, or mean and SD of the numbers."""

    classes: tuple[str, ...] = ()
    mean: float = 0.0
    spread: float = 1.0


@dataclasses.dataclass(frozen=True)
class Value(Goal):
    """One value for a case, learnt from each of its patches or slices; the answer is the mean over them."""

    name: str
    task: Task
    known: Known

    @property
    def head(self) -> Literal["pooled"]:
        """One answer for a patch."""
        return "pooled"

    def outputs(self, channels: int) -> int:
        """As many as there are classes, or one."""
        return len(self.known.classes) if self.task.kind == "class" else 1

    def terms(self, logits: Callable[[Tensor], Tensor], batch: Batch) -> dict[str, Tensor]:
        """`ce`, or `mse` of the whitened number (DLTK: Pawlowski et al., 2017), over samples whose value is shown."""
        out, shown = logits(batch.image), ~batch.value.isnan()
        if self.task.kind == "class":
            return {"ce": cross_entropy(out, torch.where(shown, batch.value, IGNORE).long())}
        wanted = torch.where(shown, (batch.value - self.known.mean) / self.known.spread, 0.0)
        wrong, samples = ranks.total((torch.square(out[:, 0] - wanted) * shown).sum(), shown.float().sum())
        return {"mse": wrong / samples.clamp(min=1)}

    def answer(self, outputs: Tensor) -> Answer:
        """What is written of a case. Shape: (n, K), a row for each of its windows."""
        if self.task.kind == "number":
            found = float(outputs[:, 0].double().mean()) * self.known.spread + self.known.mean
            return {"task": self.name, "value": round(found, _DIGITS)}
        p = outputs.double().softmax(1).mean(0).tolist()
        each = {name: round(share, _DIGITS) for name, share in zip(self.known.classes, p, strict=True)}
        return {"task": self.name, "value": max(each, key=lambda name: each[name]), "probabilities": each}


def known(view: Dataset, task: Task) -> Known:
    """What there is to know of the values that a view shows.

    Raises:
        BenchError: a value is of another kind than the task's.
    """
    shown = _shown(view, task)
    if task.kind == "class":
        return Known(classes=tuple(sorted(set(map(str, shown.values())))))
    numbers = np.array(list(shown.values()), np.float64)
    spread = float(numbers.std()) if len(numbers) else 0.0
    return Known(mean=round(float(numbers.mean()), 9) if len(numbers) else 0.0, spread=round(spread, 9) or 1.0)


def targets(view: Dataset, task: Task, found: Known) -> dict[str, float]:
    """The number that a case teaches, by id, of those whose value is shown: of a class its place among the classes."""
    shown = _shown(view, task)
    if task.kind == "class":
        return {case: float(found.classes.index(str(value))) for case, value in shown.items()}
    return {case: float(value) for case, value in shown.items()}


def lacks(task: Task, found: Known, shown: int) -> str | None:
    """Why nothing can be learnt from so many values, or None."""
    if not shown:
        return f"no value of '{task.field}' is visible in this view"
    if task.kind == "class" and len(found.classes) < 2:
        return f"all visible values of '{task.field}' are {found.classes[0]}"
    return None


def _shown(view: Dataset, task: Task) -> dict[str, str | float]:
    found = {case.id: case.meta[task.field] for case in view.cases if task.field in case.meta}
    wrong = [case for case, value in found.items() if isinstance(value, str) != (task.kind == "class")]
    if wrong:
        raise BenchError(
            f"case {wrong[0]}: '{task.field}' is {found[wrong[0]]!r}, and no {task.kind}", where=view.root / "cases"
        )
    return found
