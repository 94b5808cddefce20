"""The contract of a learning method, and `find(name)`: a method is one file of `baselines/methods/`."""

import importlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import torch
from torch import Tensor, nn

from baselines import methods
from baselines.batch import Batch
from baselines.goal import Goal
from baselines.nets import Make
from baselines.stages import Drawn, Seen, Stage
from converters import shelf
from converters.errors import BenchError, UsageError, unknown_name


class Method(nn.Module):
    """How to learn from a batch: `forward` gives named, weighted loss terms and the loop sums them.

    A method never learns which protocol ran: all it sees is where the target is 255. `make` gives a freshly
    initialised network each time it is called; further arguments are the method's options with their defaults.
    """

    paper: ClassVar[str] = ""  # authors, venue, year: the table of docs/methods.md is made of these
    protocols: ClassVar[tuple[str, ...]] = ()  # that it was made for: of "full", "semi", "scribble", "noisy"
    # Shares of a batch drawn from "labelled" and "unlabelled" cases; a share with no cases goes to the other. A method
    # with shares of "trusted" and "untrusted" labels (`Batch.trusted`) is refused where a view has not both.
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1}
    # Trainings that follow on each other, each on its own labels.
    stages: ClassVar[tuple[Stage, ...]] = (Stage("train"),)
    # Options with which it is `supervised`, bit for bit, on the annotated samples; None: it has another limit.
    reduces: ClassVar[Mapping[str, float] | None] = None
    # The options of that `supervised`, where they are not its defaults.
    limit: ClassVar[Mapping[str, float]] = {}
    # Why its losses are not those of one process when several share a batch, or "".
    one_rank: ClassVar[str] = ""
    # What it can learn besides label maps: kinds of `task.Task`; "class weights": weights of the classes.
    takes: ClassVar[tuple[str, ...]] = ()
    # What it learns in their place; None: label maps.
    goal: Goal | None = None

    def __init__(self, make: Make) -> None:
        super().__init__()
        self.net = make()
        self.stage = self.stages[0]
        self.class_weights: Tensor
        self.weigh(())
        # Unannotated images in a forward pass of their own, where a method has both: nothing of them is in the norm
        # of the annotated ones. The public codes have one pass, and so has a training.
        self.apart = False

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Named loss terms; `progress` runs from 0 to 1 through training.

        It may see a part of a batch, with the same mix, and be asked again after memory did not do: it changes no
        state but buffers, which are put back then. It reads no value of a tensor: that would make a GPU wait.
        """
        raise NotImplementedError

    def logits(self, image: Tensor) -> Tensor:
        """What is predicted from. Shape: (B, C, *S) -> (B, K, *S)."""
        logits: Tensor = self.net(image)[0]
        return logits

    def both(
        self, batch: Batch, pool: Tensor | None = None, forward: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(logits, target) to be supervised, and the logits of the pool: in one pass, or in two where `apart`.

        In one pass, unannotated images may stand among the supervised ones: their target is 255 all over.
        `pool`: images to take in place of those of `batch.pool()`, such as mixtures, any number of them.
        `forward`: images -> what is wanted of them, first axis the images; `self.logits` if not given.
        """
        forward = forward or self.logits
        own, annotated = batch.pool(), batch.rows(annotated=True)
        if pool is None and (batch.full or not (self.apart and any(batch.annotated))):
            out = forward(batch.image)
            return out, batch.target, out if batch.full else out[own]
        others = batch.image[own] if pool is None else pool
        images, target = batch.image[annotated], batch.target[annotated]
        if self.apart and any(batch.annotated):
            return forward(images), target, forward(others)
        out = forward(torch.cat((images, others)))
        return out[: len(images)], target, out[len(images) :]

    def weigh(self, classes: Sequence[float]) -> None:
        """What each class weighs; nothing: all alike."""
        self.register_buffer("class_weights", torch.tensor(classes), persistent=False)

    def enter(self, stage: Stage) -> None:
        """A stage begins, with the weights of the one before: copy a teacher, say."""
        self.stage = stage

    def relabel(self, cases: Sequence[Seen]) -> Iterator[Drawn]:
        """The label maps, one for each case in turn, that the stage to come is trained on.

        Asked for where the stage says so, before it is entered; `cases` are read anew each time they are gone through.
        A pair of a label map and a state hands that state back as `Seen.previous` at the next relabelling.
        """
        raise NotImplementedError

    def after_step(self, step: int) -> None:
        """What follows an optimiser step, such as moving a teacher; state lives in buffers and parameters."""

    def parameter_groups(self) -> list[dict[str, object]]:
        """Optimiser groups: every parameter that learns; a group may have its own `lr` and `clip`."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    @classmethod
    def refuses(cls, ndim: int, labelled: int, unlabelled: int) -> str | None:
        """Why this method cannot learn from such a view (cases with and without annotation), or None."""
        return None if labelled else "nothing is annotated in this view"


def names() -> list[str]:
    """Every built-in method, which is every file of `baselines/methods/`."""
    return shelf.stems(methods)


def find(name: str, plugin: Path | None = None) -> type[Method]:
    """The method class of that name: from the plugin file, ours, or an entry point of group `frugalseg.methods`.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    if plugin is not None and plugin.stem == name:
        return _only_method(_load_file(plugin))
    if name in names():
        return _only_method(shelf.module(methods, "method", name))
    outside = {point.name: point for point in importlib.metadata.entry_points(group="frugalseg.methods")}
    if name in outside:
        found = outside[name].load()
        return _only_method(found) if isinstance(found, ModuleType) else found
    raise unknown_name("method", name, [*names(), *outside, *([plugin.stem] if plugin else [])])


def build(method: type[Method], make: Make, options: Mapping[str, object]) -> Method:
    """The method with its options.

    Raises:
        UsageError: an option it does not have; names those it has.
    """
    known = [n for n in inspect.signature(method.__init__).parameters if n not in ("self", "make")]
    for option in options:
        if option not in known:
            raise unknown_name("option", option, known)
    return method(make, **options)


def _only_method(module: ModuleType) -> type[Method]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise BenchError(f"{len(found)} methods in one file", where=module.__file__, mend="one file, one Method class")
    return found[0]


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"frugalseg_plugin_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"no plugin file '{path}'", mend="--plugin takes the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
