"""Which prediction belongs to which reference: by case id, by native id, by the name of the source image."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import is_junk

_ENDINGS = (".nii.gz", ".nii")
_SHOWN = 5  # names in a message


@dataclasses.dataclass(frozen=True)
class Match:
    """One case to be scored, and the file that was predicted for it; None where there is none."""

    case: str
    subject: str
    group: str | None  # phase or site
    reference: Path
    prediction: Path | None


def with_dataset(predictions: Path, dataset: Dataset, cases: Sequence[Case]) -> tuple[tuple[Match, ...], list[str]]:
    """Every case with its prediction, a file named by case id or native id; and a sentence about files left over.

    Raises:
        BenchError: a reference is not dense or not a person's, a case has two predictions, or no file fits a case.
    """
    found = label_files(predictions)
    matches = tuple(
        Match(case.id, case.subject, _group(case), _reference(dataset, case), _prediction(case, found))
        for case in cases
    )
    return matches, _left_over(predictions, found, matches)


def of_folders(predictions: Path, references: Path) -> tuple[tuple[Match, ...], list[str]]:
    """Every label map of a folder with the file of the same name in the other; and a sentence about files left over.

    Raises:
        BenchError: a name stands for two files, or no name is in both folders.
    """
    found = label_files(predictions)
    matches = tuple(Match(name, name, None, path, found.get(name)) for name, path in label_files(references).items())
    return matches, _left_over(predictions, found, matches)


def label_files(folder: Path) -> Mapping[str, Path]:
    """The NIfTI files of a folder by name without ending, in order of name.

    Raises:
        BenchError: there is no such folder, or a name stands there as .nii and as .nii.gz.
    """
    if not folder.is_dir():
        raise BenchError("there is no such folder", where=folder)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = stem(path)
        if name == path.name or is_junk(Path(path.name)) or path.name.startswith("."):
            continue
        if name in found:
            raise BenchError(f"two files for {name}: {found[name].name} and {path.name}", where=folder, mend="keep one")
        found[name] = path
    return found


def stem(path: Path) -> str:
    """The file name without `.nii.gz` or `.nii`."""
    ending = next((e for e in _ENDINGS if path.name.endswith(e)), "")
    return path.name.removesuffix(ending)


def _reference(dataset: Dataset, case: Case) -> Path:
    label = case.label
    if label is None:
        raise BenchError(
            f"case {case.id} has no reference label",
            where=dataset.root,
            mend="score the cases of a split whose test subjects are annotated",
        )
    if label.kind != "dense" or label.origin == "simulated":
        raise BenchError(
            f"case {case.id}: its label is {label.kind}, {label.origin}; a reference is dense, expert or derived",
            where=dataset.root / label.file,
            mend="score against the dataset itself, not against a view of it",
        )
    return dataset.path(label.file)


def _prediction(case: Case, found: Mapping[str, Path]) -> Path | None:
    # Other toolkits name a prediction after the image they read: patient001_frame01.nii.gz.
    source = stem(Path(case.sources[0].path)) if case.sources else case.id
    paths = [found[name] for name in dict.fromkeys((case.id, case.native_id, source)) if name in found]
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise BenchError(f"case {case.id} has two predictions: {names}", where=paths[0].parent, mend="keep one")
    return paths[0] if paths else None


def _group(case: Case) -> str | None:
    group = case.meta.get("phase", case.meta.get("site"))
    return None if group is None else str(group)


def _left_over(folder: Path, found: Mapping[str, Path], matches: Sequence[Match]) -> list[str]:
    """What to tell about predictions of cases that nobody asked for."""
    if not matches:
        raise BenchError("there is no case to score", mend="give a split, or a folder, that holds some")
    used = {match.prediction for match in matches}
    if used == {None}:
        raise BenchError(
            f"none of the {len(found)} NIfTI files here is named after one of the {len(matches)} cases to score",
            where=folder,
            mend=f"name them as the references are: {matches[0].case}.nii.gz",
        )
    rest = [path.name for path in found.values() if path not in used]
    shown = ", ".join(rest[:_SHOWN]) + (f" and {len(rest) - _SHOWN} more" if len(rest) > _SHOWN else "")
    return [f"{len(rest)} of {len(found)} predictions belong to no case that is scored: {shown}"] if rest else []
