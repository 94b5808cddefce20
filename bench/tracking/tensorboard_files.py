"""Event files of TensorBoard in the run folder: `tensorboard --logdir runs` shows every run under the path it has."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.tracking.told import About, Point, State

if TYPE_CHECKING:
    from PIL.Image import Image


def load() -> None:
    """Import what the files are written by.

    Raises:
        ImportError: it is not installed, or not as a whole.
    """
    import torch.utils.tensorboard  # noqa: F401


class EventFiles:
    """Written anew whenever a run is taken up: the log says again what an earlier file held."""

    def __init__(self, about: About) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._settings = about.settings
        for old in about.folder.glob("events.out.tfevents.*"):
            old.unlink()
        about.folder.mkdir(parents=True, exist_ok=True)
        # Whoever looks on forgets what the earlier file said.
        self._writer: Any = SummaryWriter(str(about.folder), purge_step=0)
        self._writer.add_text("recipe", "\n".join(f"    {key} = {value}" for key, value in about.settings.items()))
        self._writer.flush()

    def series(self, points: Sequence[Point]) -> None:
        """Write a scalar for each value, which the format keeps in single precision."""
        for point in points:
            for name, value in point.values.items():
                self._writer.add_scalar(name, value, point.step)
        self._writer.flush()

    def scores(self, scores: Mapping[str, float]) -> None:
        """Write scalars, and a line of the table of hyperparameters."""
        from torch.utils.tensorboard.summary import hparams

        for name, value in scores.items():
            self._writer.add_scalar(name, value, 0)
        make: Any = hparams
        for summary in make(dict(self._settings), dict(scores)):
            self._writer.file_writer.add_summary(summary)
        self._writer.flush()

    def picture(self, name: str, picture: "Image") -> None:
        """Write a picture."""
        self._writer.add_image(f"pictures/{name}", np.asarray(picture), 0, dataformats="HWC")
        self._writer.flush()

    def end(self, state: State) -> None:
        """Say how it ended, and close the file."""
        self._writer.add_text("state", state)
        self._writer.close()
