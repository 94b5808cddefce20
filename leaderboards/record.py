"""The one result type: what a run did, on which data, with which scores, at which cost. Readable for ever."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec

from converters.errors import BenchError
from converters.files import Strict, digest, read_json, write_json

FORMAT = 4
Found = TypeVar("Found")

DEEPEST = 50  # lists and tables within each other; what is deeper no recipe is, and reading it could end the program


class CaseScore(Strict):
    """One structure in one case. Raw values: what an undefined one counts for is the table's business."""

    case: str
    subject: str
    group: str | None  # ED / ES, site ...
    label: str
    status: Literal["ok", "both_empty", "missed", "false", "invalid"]
    tp: int
    fp: int
    fn: int
    diagonal_mm: float  # the image diagonal: what a distance counts for when one side is empty
    touches_border: bool
    ignored: int  # voxels left out because the reference says 255
    metrics: dict[str, float | None]  # definition id -> value


class Cost(Strict, omit_defaults=True):
    """What a phase took. Seconds are monotonic wall time summed over the segments of an interrupted run.

    What has a default came with format 2 and is left out where nobody measured it. Steady state: warm-up left out.
    """

    seconds: float
    items: int  # samples trained on, or cases predicted
    items_per_s: float  # steady state
    peak_host_mib: float  # resident memory of this process and those it started
    peak_device_mib: float | None  # allocated tensors; None on CPU
    batch: int  # samples a step, or windows at once
    precision: str
    segments: int
    parts: int = 1  # in which each batch was computed, gradients summed
    held_items_per_s: float | None = None  # training: steady state with one batch held on the device, so no sampler
    step_ms: dict[str, float] = {}  # p50, p90, p99 of the time of a step, or from case to case; steady state
    # Prediction, and training that draws labels anew (`relabel`, which they are part of): read, preprocess, forward,
    # postprocess, write: sums; they overlap.
    stages_s: dict[str, float] = {}
    voxels_per_s: float | None = None  # prediction: of the original grids
    peak_reserved_mib: float | None = None  # what torch held of the GPU's memory
    peak_process_mib: float | None = None  # what the driver says this process held of it: context and libraries, too
    energy_j: float | None = None  # of the whole GPU, by the driver's counter
    macs: int | None = None  # multiplications with addition of one forward pass of one sample or window


class Budget(Strict, omit_defaults=True):
    """What the annotations that training saw would cost. Minutes came with format 3; left out where nobody counted."""

    labelled_subjects: int
    labelled_cases: int
    annotated_voxels: int
    annotated_slices: int
    # Mean foreground Dice of the visible against the clean labels, where they differ; by a factory: null is written.
    agreement: float | None = msgspec.field(default_factory=lambda: None)
    validation_subjects: int = 0  # of the labelled ones, looked at to select a step
    minutes: float | None = None  # estimated, of a person at work: the cost model is in docs/protocols.md


class Chosen(Strict, omit_defaults=True):
    """The step whose weights are tested, and the mean Dice on the validation cases after each step compared."""

    step: int
    dice: dict[int, float]  # of early stopping up to the step at which training ended
    accuracy: dict[int, float] = {}  # early stopping: share of their annotated voxels that are right


class Record(Strict, omit_defaults=True, dict=True):
    """One run: method x protocol x dataset x draw x seed. What came later is left out where there is none."""

    status: Literal["done", "failed", "skipped"]
    reason: str | None
    dataset: str
    split: str
    protocol: str
    draw: str
    method: str
    seed: int
    fold: int
    selection: str
    task: str
    annotator: str  # which kind of labels training saw: dense, expert, simulated scribble ...
    recipe: dict[str, object]
    digests: dict[str, str]  # dataset, split, view, recipe, code, model, predictions, and prediction:<case>
    definitions: dict[str, str]  # protocol, metrics, record versions
    code: dict[str, str]  # commit, dirty, versions of the packages that matter, digest of all packages, scorer
    machine: dict[str, str]  # CPU / GPU, cores, threads, memory, driver, load, what decides the bits
    budget: Budget | None
    parameters: int
    train: Cost | None
    predict: Cost | None
    cases: tuple[CaseScore, ...]
    chosen: Chosen | None = None  # None: the last step
    validation: Cost | None = None  # of the predictions that it was chosen by
    format: int = msgspec.field(default_factory=lambda: FORMAT)  # by a factory: it is always written

    def core(self) -> dict[str, object]:
        """What two runs of one recipe must share: all but cost, machine and code."""
        return {
            field: getattr(self, field)
            for field in self.__struct_fields__
            if field not in {"train", "predict", "validation", "machine", "code"}
        }

    def id(self) -> str:
        """sha256 over the canonical JSON, which is written once."""
        return self.found("_id", lambda: digest(self))

    def found(self, what: str, find: Callable[[], Found]) -> Found:
        """What was found out about the record, once."""
        if what not in self.__dict__:
            self.__dict__[what] = find()
        return cast(Found, self.__dict__[what])

    def known_as(self, run: str) -> "Record":
        """The same record, whose id somebody has worked out already."""
        self.__dict__["_id"] = run
        return self

    def save(self, path: Path) -> None:
        """Write canonical JSON atomically."""
        write_json(path, self)

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Read a record.

        Raises:
            BenchError: it is malformed or of a newer format.
        """
        try:
            found = read_json(path, cls)
        except BenchError:
            _check_version(read_json(path, _Version).format, path)  # what a newer one holds may not fit
            raise
        _check_version(found.format, path)
        if _deep(found.recipe):
            raise BenchError(f"its recipe is nested deeper than {DEEPEST}", where=path, mend="restore the file")
        return found


class _Version(msgspec.Struct):
    """What every version of a record has; the rest of a newer one may not fit."""

    format: int


def _check_version(version: int, path: Path) -> None:
    if version > FORMAT:
        raise BenchError(f"record format {version} is newer than {FORMAT}", where=path, mend="update frugalseg")


def _deep(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [part for each in level for part in _parts(each)]
    return bool(level)


def _parts(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
