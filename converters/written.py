"""What lies of a case in a dataset folder: its files, whether they are whole, and which hold the same voxels."""

from collections.abc import Iterable
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
    """Ids of cases whose images hold the same voxels: one of them would test what it trained on."""
    by_voxels: dict[tuple[str, ...], list[str]] = {}
    for case in cases:
        by_voxels.setdefault(tuple(case.images[name].data_sha256 for name in sorted(case.images)), []).append(case.id)
    return [sorted(ids, key=natural_key) for ids in by_voxels.values() if len(ids) > 1]


def discard(root: Path, case: Case) -> None:
    """Take the case out of the dataset folder."""
    for file in (f"cases/{case.id}.json", *files_of(case), *card_of(case.id)):
        (root / file).unlink(missing_ok=True)
