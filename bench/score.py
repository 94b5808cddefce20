"""Score predictions: label maps beside reference label maps -> one CaseScore for each case and structure."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import metrics, profile, surface
from bench.matching import Match, with_dataset
from converters.dataset import IGNORE, Case, Dataset
from converters.errors import BenchError, what_of
from converters.volume import Volume, data_sha256, read_label, to_ras
from leaderboards.record import CaseScore

Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Structures:
    """What is looked for in a label map, and how far an outline may be off to count as right."""

    labels: Mapping[str, int | tuple[int, ...]]  # without background; a tuple is a region that others may overlap
    tolerances_mm: tuple[float, ...] = (1.0, 2.0)
    profiles: tuple[str, ...] = ()  # by whose rules to score, too

    @classmethod
    def found(cls, matches: Iterable[Match]) -> "Structures":
        """Every value of the references, and of the predictions: a value that only these hold is a false organ.

        Raises:
            BenchError: a reference cannot be read, or none holds a value besides 0 and 255.
        """
        counts = np.zeros(256, dtype=np.int64)
        for match in matches:
            counts += _histogram(read_label(match.reference))
            with contextlib.suppress(BenchError, OSError):
                counts += _histogram(read_prediction(match))
        codes = [int(code) for code in np.flatnonzero(counts) if code not in (0, IGNORE)]
        if not codes:
            raise BenchError("no label but 0 and 255, which means not annotated", mend="give maps with values 1 to 254")
        return cls({str(code): code for code in codes})

    @classmethod
    def of(cls, dataset: Dataset) -> "Structures":
        """The foreground structures of a dataset, with its tolerances."""
        return cls(dataset.labels, dataset.file.bench.nsd_tolerances_mm)

    def codes(self, label: str) -> tuple[int, ...]:
        """The codes that make up one structure."""
        value = self.labels[label]
        return value if isinstance(value, tuple) else (value,)


def score(
    predictions: Path,
    dataset: Dataset,
    cases: Sequence[Case],
    progress: Advance | None = None,
    problems: list[str] | None = None,
) -> tuple[CaseScore, ...]:
    """Score a folder of label maps, named by case id or native id, against the references of a dataset.

    A prediction that is missing, unreadable, on another grid or holds other labels counts as the worst there is, with
    status `invalid`; `problems` is given a sentence about each, and about files that belong to no case.

    Raises:
        BenchError: a reference is not dense or not a person's, or no file fits any case.
    """
    matches, left_over = with_dataset(predictions, dataset, cases)
    told = [] if problems is None else problems
    told += left_over
    return score_matches(matches, Structures.of(dataset), progress, told)


def score_matches(
    matches: Iterable[Match], structures: Structures, progress: Advance | None, problems: list[str]
) -> tuple[CaseScore, ...]:
    """Read, measure and score case after case."""
    scores: list[CaseScore] = []
    for match in matches:
        try:
            prediction = read_prediction(match)
        except (BenchError, OSError) as error:
            prediction = None
            problems.append(f"case {match.case}: {what_of(error)}; scored as missed")
        scores += score_volumes(match, read_label(match.reference), prediction, structures, problems)
        if progress:
            progress(1)
    return tuple(scores)


def score_volumes(
    match: Match, reference: Volume, prediction: Volume | None, structures: Structures, problems: list[str]
) -> list[CaseScore]:
    """Score two label maps in memory; None, another grid or other labels make every structure `invalid`."""
    valid = prediction is not None
    try:
        pair = _nothing(reference) if prediction is None else _pair(reference, prediction, structures)
    except BenchError as error:
        valid, pair = False, _nothing(reference)
        problems.append(f"case {match.case}: {what_of(error)}; scored as missed")
    found = []
    for label in structures.labels:
        codes = structures.codes(label)
        measured = surface.measure(pair, codes)
        if not valid:
            measured = dataclasses.replace(measured, status="invalid")
        values = metrics.evaluate(measured, structures.tolerances_mm)
        if structures.profiles:
            masks = profile.cut(pair, codes, measured.status, structures.tolerances_mm)
            values |= profile.evaluate(structures.profiles, masks)
        found.append(_case_score(match, label, measured, values))
    return found


def read_prediction(match: Match) -> Volume:
    """The label map predicted for a case.

    Raises:
        BenchError: there is none, or it cannot be read.
    """
    if match.prediction is None:
        raise BenchError("there is no prediction", mend=f"write {match.case}.nii.gz")
    return read_label(match.prediction)


def prediction_digests(matches: Iterable[Match]) -> dict[str, str]:
    """Digest of the voxels predicted for each case; a case without a readable prediction has none."""
    digests = {}
    for match in matches:
        try:
            digests[match.case] = data_sha256(read_prediction(match))
        except (BenchError, OSError):
            continue
    return digests


def _pair(reference: Volume, prediction: Volume, structures: Structures) -> surface.Pair:
    prediction = aligned(reference, prediction)
    pair = surface.pair(reference.array, prediction.array, reference.spacing)
    known = {code for label in structures.labels for code in structures.codes(label)}
    if strange := sorted(set(pair.prediction_codes) - known):
        counts = ", ".join(f"{code} in {int(pair.counts[:, code].sum())} voxels" for code in strange)
        raise BenchError(f"values that are no labels here: {counts}; the labels are {sorted(known)}")
    return pair


def aligned(reference: Volume, prediction: Volume) -> Volume:
    """The prediction on the grid of the reference, its axes flipped and swapped if they have to be.

    Raises:
        BenchError: it has another shape, or lies elsewhere.
    """
    if not reference.same_grid(prediction):
        # The same voxels may lie in another order: a foreign tool wrote the orientation of the scanner.
        prediction = _turned(prediction, reference)
    if reference.shape != prediction.shape:
        raise BenchError(f"shape {prediction.shape} for a reference of {reference.shape}")
    if not reference.same_grid(prediction):
        raise BenchError(f"its affine puts a corner {reference.distance(prediction):.2f} mm from the reference's")
    return prediction


def _turned(prediction: Volume, reference: Volume) -> Volume:
    """The prediction with its axes nearest to the reference's, which decide even where both lie at 45 degrees."""
    seen = Volume(prediction.array, np.linalg.inv(reference.affine) @ prediction.affine)
    turned = to_ras(seen)[0]
    return Volume(turned.array, reference.affine @ turned.affine)


def _nothing(reference: Volume) -> surface.Pair:
    return surface.pair(reference.array, np.zeros_like(reference.array), reference.spacing)


def _histogram(volume: Volume) -> npt.NDArray[np.int64]:
    voxels = np.asarray(volume.array, dtype=np.uint8).ravel(order="K")
    return np.bincount(
        voxels[voxels > 0], minlength=256
    )  # most are background, and counting costs more than leaving out


def _case_score(match: Match, label: str, measured: surface.Measured, values: profile.Values) -> CaseScore:
    return CaseScore(
        case=match.case,
        subject=match.subject,
        group=match.group,
        label=label,
        status=measured.status,
        tp=measured.tp,
        fp=measured.fp,
        fn=measured.fn,
        diagonal_mm=measured.diagonal_mm,
        touches_border=measured.touches_border,
        ignored=measured.ignored,
        metrics=values,
    )
