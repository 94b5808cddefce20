"""Labels of a stage: a view that the method draws anew from the visible one, and from nothing else."""

import dataclasses
import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from baselines.config import PredictConfig
from baselines.grid import faced
from baselines.meter import Meter
from baselines.method import Method
from baselines.model import ModelSpec
from baselines.predict import case_image, case_probabilities, windows_of
from baselines.stages import DOUBTED, Drawn, LabelMap, Seen, Stage, State
from converters import disclosure
from converters.dataset import IGNORE, Annotation, Case, Dataset
from converters.describe import annotation
from converters.description import AnnotationSet, Parent
from converters.errors import BenchError
from converters.export import voxels, whole
from converters.files import sha256
from converters.volume import Volume, write_nifti

Probabilities = Callable[[Case], npt.NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Who draws the labels of a stage, and from what."""

    view: Dataset  # what the protocol shows
    method: Method  # with the weights of the stage before
    spec: ModelSpec
    stage: Stage
    seed: int
    run: str  # digest of all that decides the training
    previous: Path | None  # states that the last relabelling left

    @property
    def parent(self) -> Parent:
        """What the drawn view says it was made from."""
        bench = self.view.file.bench
        facts = bench.parent.protocol if bench.parent is not None else {}
        return Parent(
            name=self.view.name,
            content_sha256=bench.content_sha256,
            protocol={**facts, "stage": self.stage.name, "training": self.run},
        )


class Cases(Sequence[Seen]):
    """The training cases, each read and predicted anew whenever it is asked for."""

    def __init__(self, drawing: Drawing, cases: Sequence[Case], probabilities: Probabilities | None) -> None:
        self.drawing, self.cases, self.probabilities = drawing, cases, probabilities

    def __len__(self) -> int:
        return len(self.cases)

    @overload
    def __getitem__(self, index: int) -> Seen: ...
    @overload
    def __getitem__(self, index: slice) -> "Cases": ...
    def __getitem__(self, index: int | slice) -> "Seen | Cases":
        """One case, or some of them, which are not read yet."""
        if isinstance(index, slice):
            return Cases(self.drawing, self.cases[index], self.probabilities)
        case, of = self.cases[index], self.drawing
        # One generator per case: the label depends on no other case and on no order.
        seed = sha256(f"relabel/{of.stage.name}/{of.seed}/{case.id}".encode())
        return Seen(
            case=case.id,
            label=_shown(of.view, case),
            image=np.stack([voxels(of.view, file).array.astype(np.float32) for file in case.images.values()]),
            probabilities=self.probabilities(case) if self.probabilities is not None else None,
            spacing=case.geometry.spacing_mm,
            slice_axis=case.geometry.slice_axis,
            rng=np.random.default_rng(int(seed, 16)),
            previous=_state(of.previous, case),
        )


def relabelled(drawing: Drawing, out: Path, device: torch.device, meter: Meter) -> Dataset:
    """The view of a stage in `out`, written whole or not at all; one that lies there already is given back.

    A label map that is all 255 leaves its case without a label. States lie in `states` beside `out`.

    Raises:
        BenchError: the method gave label maps that do not fit the cases, or `out` holds something else.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return disclosure.there(out, drawing.parent)
    view, states = drawing.view, out.with_name("states")
    shutil.rmtree(states, ignore_errors=True)
    with whole(out) as temporary, torch.inference_mode():
        cases = Cases(drawing, view.cases, _predicting(drawing, device, meter))
        drawing.method.eval()
        found = []
        for case, drawn in _paired(view.cases, drawing.method.relabel(cases)):
            label, state = drawn if isinstance(drawn, tuple) else (drawn, None)
            if state is not None:
                _keep(states, case, state)
            shown = _write(view, case, label, temporary)
            found.append(disclosure.sidecar(case, shown, view.root, out))
        disclosure.save(view, tuple(found), drawing.parent, temporary)
    return Dataset.load(out)


def _predicting(drawing: Drawing, device: torch.device, meter: Meter) -> Probabilities | None:
    if not drawing.stage.predicted:
        return None
    spec, view = drawing.spec, drawing.view
    windows = windows_of(drawing.method, spec, PredictConfig(), device)

    def probabilities(case: Case) -> npt.NDArray[np.float32]:
        case = faced(case, spec.config)
        return case_probabilities(windows, case_image(spec, view, meter, case).to(device), case, meter)

    return probabilities


def _paired(cases: Sequence[Case], drawn: Iterator[Drawn]) -> Iterator[tuple[Case, Drawn]]:
    for case, labels in itertools.zip_longest(cases, drawn):
        if case is None or labels is None:
            raise BenchError(
                f"relabel gave {'more' if case is None else 'fewer'} label maps than the {len(cases)} cases"
            )
        yield case, labels


def _write(view: Dataset, case: Case, label: LabelMap, folder: Path) -> Annotation | None:
    """What the sidecar says of the label map, written to `labelsTr`; None where nothing is annotated in it."""
    codes = np.unique(label)
    if label.shape != case.geometry.shape or label.dtype != np.uint8:
        told = f"a label map of {label.dtype} {label.shape} for a case of uint8 {case.geometry.shape}"
        raise BenchError(f"relabel gave {told}", where=f"case {case.id}")
    if any(code % DOUBTED >= view.classes and code != IGNORE for code in codes):
        raise BenchError(f"relabel gave codes {codes.tolist()} for {view.classes} classes", where=f"case {case.id}")
    if codes.tolist() == [IGNORE]:
        return None
    volume = Volume(label, np.array(case.geometry.affine))
    path = f"labelsTr/{case.id}.nii.gz"
    write_nifti(folder / path, volume)
    drawn = annotation(AnnotationSet(id="visible", kind="pseudo", origin="derived", path="labelsTr"), path, volume)
    # What the method leaves as it is stays what it was.
    if case.label is not None and case.label.data_sha256 == drawn.data_sha256:
        return msgspec.structs.replace(drawn, kind=case.label.kind, origin=case.label.origin)
    return drawn


def _shown(view: Dataset, case: Case) -> LabelMap:
    if case.label is None:
        return np.full(case.geometry.shape, IGNORE, np.uint8)
    return voxels(view, case.label).array.astype(np.uint8, copy=False)


def _keep(folder: Path, case: Case, state: State) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{case.id}.npz", state=state.astype(np.float16, copy=False))


def _state(folder: Path | None, case: Case) -> State | None:
    path = folder / f"{case.id}.npz" if folder is not None else None
    if path is None or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as stored:
        found: State = stored["state"]
        return found
