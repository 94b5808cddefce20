"""Records -> ejection fractions and volumes: how far a heart's numbers are from those of the reference.

Volumes at end-diastole (ED) and end-systole (ES), ejection fraction EF = 100 (EDV - ESV) / EDV in %. Bernard et al.,
TMI 2018 (ACDC): correlation, bias and limits of agreement; Bland and Altman, Lancet 1986.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from converters.files import Strict
from leaderboards import columns
from leaderboards.columns import Block, Table
from leaderboards.record import CaseScore, Record
from leaderboards.summary import short
from leaderboards.table import Row
from leaderboards.wording import Cell

CAVITIES = ("LV", "RV")
PHASES = ("ED", "ES")
LIMITS = 1.96  # of a normal distribution's 95 %
WORST = 100.0  # points of EF: what one counts for that the prediction does not give

_COLUMNS = (
    "method",
    "cavity",
    "EF bias, points",
    "95 % limits",
    "EF MAE",
    "EF r",
    "EF lost",
    "EDV bias ± SD, mL",
    "ESV bias ± SD, mL",
)
_NOTES = (
    "EF = 100 (EDV − ESV) / EDV in %, errors prediction − reference in percentage points; limits of agreement: bias "
    "± 1.96 SD over patients and seeds; in the MAE an error counts at most 100 points, in bias and limits all it is",
    "lost: predictions that give no EF (no cavity at ED, or no usable file); each counts 100 points in the MAE and is "
    "in no other EF column",
)

Pair = tuple[float, float | None]  # reference, prediction


class Agreement(Strict):
    """A quantity of predictions against that of the references, over all patients and repeats."""

    unit: str  # "mL", or "%" for percentage points of EF
    n: int  # pairs: a patient counts once in each repeat
    lost: int  # pairs more where the prediction gives no value: no cavity at ED, or no usable prediction
    unreferenced: int  # patients without a value in the reference: a phase missing, or no cavity at ED; left out
    bias: float | None  # mean of prediction - reference
    sd: float | None  # n - 1; None for a single pair
    low: float | None  # 95 % limits of agreement: bias -+ 1.96 SD
    high: float | None
    mae: float | None  # mean absolute error; for EF a lost one counts 100 points, and so does one that is further off
    r: float | None  # Pearson; None where either side does not vary


Clinical = dict[str, dict[str, Agreement]]  # label -> "EDV", "ESV", "EF" -> agreement


def measure(rows: Iterable[Row], records: Iterable[Record]) -> dict[tuple[str, ...], Clinical]:
    """The `runs` of a row -> its agreement, for rows whose records have ED and ES of a cavity."""
    by_id = {record.id(): record for record in records}
    found = {row.runs: agreement([by_id[run] for run in row.runs]) for row in rows}
    return {runs: measured for runs, measured in found.items() if measured}


def agreement(records: Sequence[Record]) -> Clinical:
    """EDV, ESV and EF of each cavity over the repeats of a run; empty where there is no ED and ES."""
    found: Clinical = {}
    for label in CAVITIES:
        hearts = [heart for record in records for heart in _hearts(record.cases, label)]
        if not any(set(heart) >= set(PHASES) for heart in hearts):
            continue
        pairs = {f"{phase}V": [_volume(heart.get(phase)) for heart in hearts] for phase in PHASES}
        if not any(pair for values in pairs.values() for pair in values):
            continue
        found[label] = {what: _agreement(values, "mL") for what, values in pairs.items()}
        found[label]["EF"] = _agreement([_fraction(heart) for heart in hearts], "%")
    return found


def _hearts(scores: Iterable[CaseScore], label: str) -> list[dict[str, CaseScore]]:
    """Phase -> score, one for each patient."""
    hearts: dict[str, dict[str, CaseScore]] = defaultdict(dict)
    for score in scores:
        if score.label == label and score.group in PHASES:
            hearts[score.subject][score.group] = score
    return [hearts[subject] for subject in sorted(hearts)]


def _volumes(score: CaseScore) -> tuple[float, float] | None:
    """Reference and prediction in mL; None in a record that does not say."""
    told = {short(definition): value for definition, value in score.metrics.items()}
    reference, prediction = told.get("volume_reference_ml"), told.get("volume_prediction_ml")
    return None if reference is None or prediction is None else (reference, prediction)


def _volume(score: CaseScore | None) -> Pair | None:
    # An unusable prediction holds nothing, as in the volume error; a missed cavity measures 0 mL.
    return None if score is None else _volumes(score)


def _fraction(heart: Mapping[str, CaseScore]) -> Pair | None:
    """EF of reference and prediction; None without a reference."""
    volumes = [_volume(heart.get(phase)) for phase in PHASES]
    diastole, systole = volumes
    if diastole is None or systole is None or not diastole[0]:
        return None
    reference = 100 * (diastole[0] - systole[0]) / diastole[0]
    usable = all(score.status != "invalid" for score in heart.values())
    if not usable or not diastole[1] or systole[1] is None:
        return reference, None
    return reference, 100 * (diastole[1] - systole[1]) / diastole[1]


def _agreement(pairs: Sequence[Pair | None], unit: str) -> Agreement:
    known = [pair for pair in pairs if pair is not None]
    both = [(reference, prediction) for reference, prediction in known if prediction is not None]
    errors = [prediction - reference for reference, prediction in both]
    lost = len(known) - len(both)
    bias = statistics.fmean(errors) if errors else None
    sd = statistics.stdev(errors) if len(errors) > 1 else None
    sizes = [abs(error) if unit == "mL" else min(abs(error), WORST) for error in errors] + [WORST] * lost
    return Agreement(
        unit=unit,
        n=len(both),
        lost=lost,
        unreferenced=len(pairs) - len(known),
        bias=bias,
        sd=sd,
        low=None if bias is None or sd is None else bias - LIMITS * sd,
        high=None if bias is None or sd is None else bias + LIMITS * sd,
        mae=statistics.fmean(sizes) if sizes else None,
        r=_pearson(both),
    )


def _pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    """None below two pairs, or where one side is constant."""
    if len(pairs) < 2:
        return None
    x, y = ([pair[i] for pair in pairs] for i in range(2))
    try:
        found = statistics.correlation(x, y)
    except statistics.StatisticsError:
        return None
    return found if math.isfinite(found) else None


def tables(rows: Sequence[Row], measured: Mapping[tuple[str, ...], Clinical]) -> list[Table]:
    """One table of ejection fractions for each table of scores whose rows have some; blocks and rows as there."""
    chosen = [row for row in rows if row.runs in measured]
    return [_table(members, measured) for members in columns.by_table(chosen)]


def _table(rows: Sequence[Row], measured: Mapping[tuple[str, ...], Clinical]) -> Table:
    shared = columns.shared_fields(rows)
    blocks = [
        Block(
            columns.section_title(members[0].section, shared),
            tuple(_cells(row, label, found) for row in members for label, found in measured[row.runs].items()),
        )
        for members in columns.by_section(rows)
    ]
    absent = sum(found["EF"].unreferenced for row in rows for found in measured[row.runs].values())
    notes = [*_NOTES, *([f"without a reference EF, left out: {absent}"] if absent else [])]
    title = f"{columns.table_title(rows[0].section)} · ejection fraction and volumes"
    return Table(title=title, columns=_COLUMNS, blocks=tuple(blocks), notes=tuple(notes))


def _cells(row: Row, label: str, found: Mapping[str, Agreement]) -> tuple[Cell, ...]:
    fraction = found["EF"]
    limits = "" if fraction.low is None else f"[{fraction.low:.1f}, {fraction.high:.1f}]"
    return (
        Cell(columns.name(row)),
        Cell(label),
        _cell(fraction.bias, "+.1f"),
        Cell(limits, fraction.low),
        _cell(fraction.mae, ".1f"),
        _cell(fraction.r, ".3f"),
        Cell(f"{fraction.lost} of {fraction.n + fraction.lost}", fraction.lost),
        *(_spread(found[f"{phase}V"]) for phase in PHASES),
    )


def _cell(value: float | None, form: str) -> Cell:
    return Cell("" if value is None else format(value, form), value)


def _spread(volume: Agreement) -> Cell:
    if volume.bias is None:
        return Cell("")
    return Cell(f"{volume.bias:+.1f}" + ("" if volume.sd is None else f" ± {volume.sd:.1f}"), volume.bias)
