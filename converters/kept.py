"""What an export keeps of our dataset, beyond the words of its own format, so that the way back loses nothing.

It stands in the export's dataset.json under the key `frugalseg`, which the other tools pass over.
"""

import msgspec

from converters.dataset import Case, Dataset
from converters.description import Card, Origin
from converters.files import Strict
from converters.source import Info

KEY = "frugalseg"


class KeptCase(Strict):
    """What no header of an image says."""

    subject: str
    slice_axis: int
    spacing_known: bool = True
    meta: dict[str, str | float] = {}
    preparation: dict[str, str | float] = {}


class Kept(Strict):
    """A dataset's description and its cases, by id."""

    name: str
    licence: str
    labels: dict[str, int | tuple[int, ...]]
    origin: Origin
    card: Card
    cases: dict[str, KeptCase]


def keep(dataset: Dataset, *, without_annotations: bool = False) -> Kept:
    """Everything that is to be said of a dataset or view, but for its files; `without_annotations` in an export."""
    card = dataset.file.bench
    origins = {case.label.origin for case in dataset.cases if case.label is not None}
    return Kept(
        name=dataset.name,
        licence=dataset.file.licence,
        labels=dataset.file.labels,
        origin=next(iter(origins)) if len(origins) == 1 else "expert",
        card=msgspec.structs.replace(card, annotation_sets=()) if without_annotations else card,
        cases={case.id: _keep(case) for case in dataset.cases},
    )


def _keep(case: Case) -> KeptCase:
    grid = case.geometry
    return KeptCase(
        subject=case.subject,
        slice_axis=grid.slice_axis,
        spacing_known=grid.spacing_known,
        meta=case.meta,
        preparation=case.preparation,
    )


def info(kept: Kept, name: str) -> Info:
    """The dataset as it was, for the source that reads the export."""
    card = kept.card
    warnings = card.warnings
    if card.parent is not None:
        shown = card.parent.protocol.get("protocol", "unknown")
        warnings += (f"its labels are what the protocol {shown} shows of {card.parent.name}: no reference",)
    return Info(
        name=name,
        version=card.version,
        licence=kept.licence,
        citation=card.citation,
        source=msgspec.structs.replace(card.source, sha256=""),
        channels=card.channels,
        labels=kept.labels,
        label_info=card.label_info,
        ndim=card.ndim,
        annotation_sets=card.annotation_sets,
        nsd_tolerances_mm=card.nsd_tolerances_mm,
        copies=card.copies,
        reference_origin=kept.origin,
        warnings=warnings,
        preparation=card.preparation,
    )
