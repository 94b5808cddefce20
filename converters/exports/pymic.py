"""PyMIC: images and labels as NIfTI, and csv files that say who trains, validates and tests.

Wang et al., Computer Methods and Programs in Biomedicine 2023; columns as its `NiftyDataset` reads them: one for each
channel, in order, before `label`.

    images/<case>_0000.nii.gz [_0001 ...]  labels/<case>.nii.gz
    train.csv         cases with a label                     image,label  or  image_0,image_1,label
    train_unlab.csv   training cases without one, for `train_csv_unlab`
    valid.csv         cases with a label
    test.csv          test side; test_gt_seg.csv pairs its labels with what PyMIC will call its predictions
    pymic.cfg         the part of a configuration that the data decide: paths, classes, how labels are read

255 is the code after the last, which PyMIC's `PartialLabelToProbability` gives no weight. There are no regions: an
overlap is a class of its own. Intensities are as they are; normalise in the transforms.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.dataset import Case, Dataset, Split
from converters.export import copy, ignored, sides, whole, write_label
from converters.files import write_bytes


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write the folder that `train_dir` (in older versions `root_dir`) names."""
    ignore, there = ignored(dataset), sides(dataset, split)
    with whole(out) as root:
        for case in (*there.train, *there.val, *there.test):
            for image, to in zip(case.images.values(), _images(case), strict=True):
                copy(dataset, image, root / to)
            write_label(dataset, case, root / _label(case), ignore)
        _write_list(dataset, root / "train.csv", there.train, labelled=True)
        _write_list(dataset, root / "train_unlab.csv", there.train, labelled=False)
        _write_list(dataset, root / "valid.csv", there.val, labelled=True)
        _write_list(dataset, root / "test.csv", there.test, labelled=None)
        pairs = [(_label(case), Path(_images(case)[0]).name) for case in there.test if case.label is not None]
        _write_csv(root / "test_gt_seg.csv", ("ground_truth", "segmentation"), pairs)
        write_bytes(root / "pymic.cfg", _config(dataset, ignore is not None).encode())


def notices(dataset: Dataset, out: Path) -> Iterator[str]:
    """What to do next."""
    yield f"start from {out.name}/pymic.cfg, and run PyMIC where its paths lead from"
    for name, told in (("train", "no case trains with a label"), ("valid", "no case validates")):
        if (out / f"{name}.csv").read_text(encoding="utf-8").count("\n") < 2:
            yield f"{name}.csv is empty: {told}"


def _images(case: Case) -> list[str]:
    return [f"images/{case.id}_{number:04d}.nii.gz" for number in range(len(case.images))]


def _label(case: Case) -> str:
    return f"labels/{case.id}.nii.gz"


def _write_list(dataset: Dataset, path: Path, cases: Sequence[Case], *, labelled: bool | None) -> None:
    """`labelled`: cases with a label, those without, or, with no label column, all of them (None)."""
    count = len(dataset.channels)
    columns = ("image",) if count == 1 else tuple(f"image_{number}" for number in range(count))
    chosen = [case for case in cases if labelled is None or (case.label is not None) == labelled]
    rows = [(*_images(case), *([_label(case)] if labelled else [])) for case in chosen]
    _write_csv(path, (*columns, "label") if labelled else columns, rows)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Case ids hold no comma and no quote.
    write_bytes(path, "".join(",".join(row) + "\n" for row in (columns, *rows)).encode())


def _config(dataset: Dataset, partial: bool) -> str:
    """Keys of version 0.6; `root_dir` is the `train_dir` of earlier ones."""
    count = len(dataset.channels)
    return "\n".join(
        (
            "[dataset]",
            "task_type = seg",
            "# without the slash PyMIC takes the dot for a number",
            "train_dir = ./",
            "root_dir  = ./",
            f"modal_num = {count}",
            "train_csv = train.csv",
            "train_csv_unlab = train_unlab.csv",
            "valid_csv = valid.csv",
            "test_csv  = test.csv",
            f"# train_transform ends with {'Partial' * partial}LabelToProbability, the others with LabelToProbability",
            "",
            "[network]",
            f"class_num = {dataset.classes}",
            f"in_chns   = {count}",
            "",
        )
    )
