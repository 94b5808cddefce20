"""Several trainings in one method: what a stage is, and what labels are drawn anew from."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError
from converters.files import safe_id

LabelMap = npt.NDArray[np.uint8]  # (X, Y, Z) RAS+, 255 where nobody annotated
State = npt.NDArray[np.float16]  # what a method wants back of a case at its next relabelling; any shape
Drawn = LabelMap | tuple[LabelMap, State]
# Added to the code of a voxel whose label `relabel` doubts; codes lie below 127, so that 255 stays 255. Only a method
# that doubts meets such a target: to any other it is a code that no class has.
DOUBTED = 128


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training of a method: a schedule of its own, so the learning rate begins anew and `progress` at 0."""

    name: str  # of its folder, too
    share: float = 1.0  # of the steps of the recipe; of all stages together they are 1, so that methods cost alike
    relabel: bool = False  # its labels are drawn anew, by `Method.relabel`, from those of the view
    predicted: bool = False  # and from what the stage before predicts for the training cases
    fresh: bool = False  # it starts from fresh weights, not from those of the stage before


@dataclasses.dataclass(frozen=True)
class Seen:
    """A training case whose label is to be drawn anew, on its own grid.

    Shape: label (X, Y, Z) RAS+; image (C, X, Y, Z) float32, intensities as stored; probabilities (K, X, Y, Z) float32
    by the stage before, None where the stage asks for none; previous: the state that the last relabelling left with
    this case's label map, None where there was none.
    """

    case: str
    label: LabelMap  # as the protocol shows it; all 255 where it shows none
    image: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32] | None
    spacing: tuple[float, float, float]
    slice_axis: int
    rng: np.random.Generator
    previous: State | None = None


def alone(stages: Sequence[Stage]) -> bool:
    """Whether a method is one training on the labels that the view shows."""
    return len(stages) == 1 and not stages[0].relabel


def steps_of(stages: Sequence[Stage], steps: int) -> list[int]:
    """The steps of each stage, in all those of the recipe.

    Raises:
        BenchError: the shares are not 1 together, two stages have one name, the first would need one before it, or a
            stage is left without a step.
    """
    names = [stage.name for stage in stages]
    first = stages[0]
    wrong = {
        f"shares {[stage.share for stage in stages]} are not 1 together": abs(sum(s.share for s in stages) - 1) > 1e-6,
        f"names {names} are no names of folders, each of its own": len({*map(safe_id, names)}) < len(names),
        f"stage '{first.name}' has no stage before it": first.predicted,
        "a stage has predictions but draws no labels": any(s.predicted and not s.relabel for s in stages),
    }
    if told := [sentence for sentence, is_so in wrong.items() if is_so]:
        raise BenchError(f"stages: {'; '.join(told)}", mend="a fault of the method's class attribute `stages`")
    ends = [round(steps * share) for share in itertools.accumulate(stage.share for stage in stages)]
    found = [end - start for start, end in itertools.pairwise([0, *ends])]
    if min(found) < 1:
        raise BenchError(f"train.steps = {steps} leaves a stage of {names} without a step", mend="take more steps")
    return found
