"""Which prediction belongs to which reference: by case id, native id or the name of an image, as toolkits write it."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import is_junk

POSTFIXES = ("_seg", "_pred", "_trans")  # what MONAI's SaveImage and its bundles put behind the name of the image
_ENDINGS = (".nii.gz", ".nii")
_SHOWN = 5  # names in a message

Found = dict[str, list[Path]]  # predictions by every name they answer to


@dataclasses.dataclass(frozen=True)
class Match:
    """One case to be scored, and the file that was predicted for it; None where there is none."""

    case: str
    subject: str
    group: str | None  # phase or site
    reference: Path
    prediction: Path | None


def with_dataset(predictions: Path, dataset: Dataset, cases: Sequence[Case]) -> tuple[tuple[Match, ...], list[str]]:
    """Every case with its prediction, a file named as toolkits name it; and a sentence about files left over.

    A case answers to its id, its native id, the name of its source image and those of its images. The file has that
    name, or that name and one of `POSTFIXES`, in the folder or in a folder of its own: `docs/submit.md`.

    Raises:
        BenchError: a reference is not dense or not a person's, a case has two predictions, or no file fits a case.
    """
    found = answering(predictions)
    matches = tuple(
        Match(
            case.id,
            case.subject,
            group(case),
            _reference(dataset, case),
            prediction_of(case.id, names_of(case), found),
        )
        for case in cases
    )
    return matches, left_over(predictions, found, {match.case: match.prediction for match in matches})


def of_folders(predictions: Path, references: Path) -> tuple[tuple[Match, ...], list[str]]:
    """Every label map of a folder with the file of the same name in the other; and a sentence about files left over.

    Raises:
        BenchError: a name stands for two files, or no name is in both folders.
    """
    found = answering(predictions)
    matches = tuple(
        Match(name, name, None, path, prediction_of(name, (name,), found))
        for name, path in label_files(references).items()
    )
    return matches, left_over(predictions, found, {match.case: match.prediction for match in matches})


def label_files(folder: Path) -> Mapping[str, Path]:
    """The NIfTI files of a folder by name without ending, in order of name.

    Raises:
        BenchError: there is no such folder, or a name stands there as .nii and as .nii.gz.
    """
    found: dict[str, Path] = {}
    for path in nifti_files(folder):
        name = stem(path)
        if name in found:
            raise BenchError(f"two files for {name}: {found[name].name} and {path.name}", where=folder, mend="keep one")
        found[name] = path
    return found


def nifti_files(folder: Path) -> list[Path]:
    """The NIfTI files of a folder, in order of name.

    Raises:
        BenchError: there is no such folder.
    """
    if not folder.is_dir():
        raise BenchError("there is no such folder", where=folder)
    shown = (path for path in folder.iterdir() if not path.name.startswith(".") and not is_junk(Path(path.name)))
    return sorted(path for path in shown if stem(path) != path.name)


def answering(folder: Path) -> Found:
    """The predictions of a folder by every name they answer to."""
    found: dict[str, list[Path]] = defaultdict(list)
    for name, path in label_files(folder).items():
        for one in _bare(name):
            found[one].append(path)
    for own in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        # A folder for each case, as MONAI makes it; any other folder is somebody's notes or an older result.
        found[own.name] += [path for path in nifti_files(own) if own.name in _bare(stem(path))]
    return found


def _bare(name: str) -> tuple[str, ...]:
    """The name, and the name without what a toolkit put behind it."""
    ending = next((postfix for postfix in POSTFIXES if name.endswith(postfix)), "")
    return (name, name.removesuffix(ending)) if ending else (name,)


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


def names_of(case: Case) -> tuple[str, ...]:
    """What a case answers to."""
    # Other toolkits name a prediction after the image they read: patient001_frame01.nii.gz, patient001-ed_0000.nii.gz.
    images = [case.sources[0].path] if case.sources else []
    images += [image.file for image in case.images.values()]
    return (case.id, case.native_id, *(stem(Path(image)) for image in images))


def prediction_of(case: str, names: Sequence[str], found: Found) -> Path | None:
    """The one file that answers to a name of the case, or None.

    Raises:
        BenchError: there are two.
    """
    paths = list(dict.fromkeys(path for name in names for path in found.get(name, ())))
    if len(paths) > 1:
        told = " and ".join("/".join(path.parts[-2:]) for path in paths)
        raise BenchError(f"case {case} has two predictions: {told}", where=paths[0].parent, mend="keep one")
    return paths[0] if paths else None


def group(case: Case) -> str | None:
    """What cases are told apart by in tables: phase or site."""
    found = case.meta.get("phase", case.meta.get("site"))
    return None if found is None else str(found)


def left_over(folder: Path, found: Found, chosen: Mapping[str, Path | None]) -> list[str]:
    """What to tell about predictions of cases that nobody asked for; `chosen`: those of the cases asked for.

    Raises:
        BenchError: no case is asked for, no file fits a case, or one file fits two.
    """
    if not chosen:
        raise BenchError("there is no case to score", mend="give a split, or a folder, that holds some")
    files = list(dict.fromkeys(path for paths in found.values() for path in paths))
    used = [path for path in chosen.values() if path is not None]
    if not used:
        raise BenchError(
            f"none of the {len(files)} NIfTI files here is named after one of the {len(chosen)} cases to score",
            where=folder,
            mend=_how_to(folder, next(iter(chosen))),
        )
    if twice := sorted(path.name for path, n in Counter(used).items() if n > 1):
        raise BenchError(f"{_some(twice)} fits two cases", where=folder, mend="name predictions by case id")
    rest = sorted("/".join(path.relative_to(folder).parts) for path in files if path not in used)
    return (
        [f"{len(rest)} of {len(files)} predictions belong to no case that is asked for: {_some(rest)}"] if rest else []
    )


def _how_to(folder: Path, case: str) -> str:
    inner = [path.name for path in sorted(folder.iterdir()) if path.is_dir() and nifti_files(path)]
    return f"give one of its folders: {_some(inner)}" if inner else f"name them as the references are: {case}.nii.gz"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
