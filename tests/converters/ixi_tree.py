"""A made-up raw IXI folder and what becomes of it: `from ixi_tree import T1, dataset, tree`."""

from pathlib import Path

from converters.check import check
from converters.convert import Report, convert
from converters.dataset import Case, Dataset
from converters.phantoms import ixi
from converters.phantoms.ixi import Person, Quirks
from converters.source import Options

T1 = Quirks(contrasts=("T1",))


def tree(raw: Path, quirks: Quirks, cases: int = 6) -> Path:
    ixi.write(raw, cases, 0, quirks)
    return raw


def converted(raw: Path, out: Path, labels: Path | None = None) -> dict[str, Report]:
    return {
        report.name.removeprefix("phantom-"): report for report in convert("ixi", raw, out, options=Options(labels))
    }


def dataset(raw: Path, out: Path, labels: Path | None = None) -> Dataset:
    report = converted(raw, out, labels)["ixi-t1"]
    assert report.failures == []
    assert check(report.root) == []
    return Dataset.load(report.root)


def name(number: int) -> str:
    return Person.draw(0, number).name


def image(raw: Path, number: int, contrast: str = "T1") -> Path:
    return raw / f"IXI-{contrast.partition('-')[0]}" / f"{name(number)}-{contrast}.nii.gz"


def by_number(found: Dataset) -> dict[int, Case]:
    return {int(case.subject[3:]): case for case in found.cases}
