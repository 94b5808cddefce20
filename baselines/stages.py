"""Several trainings in one method: what a stage is, and what labels are drawn anew from."""

import dataclasses

import numpy as np
import numpy.typing as npt

LabelMap = npt.NDArray[np.uint8]  # (X, Y, Z) RAS+, 255 where nobody annotated
State = npt.NDArray[np.float16]  # what a method wants back of a case at its next relabelling; any shape
Drawn = LabelMap | tuple[LabelMap, State]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training of a method."""

    name: str
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
