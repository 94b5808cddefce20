"""What lies of a case in a dataset folder: its files, whether they are whole, and which hold the same voxels."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from converters.dataset import Annotation, Case, ImageFile
from converters.errors import BenchError
from converters.files import natural_key
from converters.volume import data_sha256, read_nifti


def parts_of(case: Case) -> list[ImageFile | Annotation]:
    """Images, reference label and annotations of the case."""
    labels: list[ImageFile | Annotation] = [a for a in (case.label, *case.annotations.values()) if a is not None]
    return [*case.images.values(), *labels]


def files_of(case: Case) -> dict[str, str]:
    """Every file of the case with its voxel digest."""
    return {part.file: part.data_sha256 for part in parts_of(case)}


def card_of(case_id: str) -> tuple[str, str]:
    """Files of the dataset's card that tell of the case: numbers, picture. They are no part of its content."""
    return f"card/{case_id}.json", f"card/{case_id}.png"


def intact(root: Path, case: Case) -> bool:
    """True when every file of the case holds the voxels that its sidecar names."""
    try:
        return all(data_sha256(read_nifti(root / file)) == known for file, known in files_of(case).items())
    except (BenchError, OSError):
        return False


def duplicates(cases: Iterable[Case]) -> list[list[str]]:
    """Ids of cases whose images hold the same voxels: one of them would test what it trained on.

    Frames of one recording may be alike, blank ones at its ends for instance; they stay on one side with their subject.
    """
    by_voxels: dict[tuple[str, ...], list[Case]] = {}
    for case in cases:
        by_voxels.setdefault(tuple(case.images[name].data_sha256 for name in sorted(case.images)), []).append(case)
    groups = [group for group in by_voxels.values() if len(group) > 1 and not _frames(group)]
    return [sorted((case.id for case in group), key=natural_key) for group in groups]


def _frames(group: Sequence[Case]) -> bool:
    """True for cases of one subject that were read from one file."""
    return all(case.sources for case in group) and len({(case.subject, case.sources[0].path) for case in group}) == 1


def discard(root: Path, case: Case) -> None:
    """Take the case out of the dataset folder."""
    for file in (f"cases/{case.id}.json", *files_of(case), *card_of(case.id)):
        (root / file).unlink(missing_ok=True)
