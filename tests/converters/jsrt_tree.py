"""Ways into what becomes of a made-up JSRT: `from jsrt_tree import MASKS, converted, failures`."""

from pathlib import Path

from converters.convert import Report, convert
from converters.dataset import Dataset

MASKS = "scratch/fold1/masks"


def converted(raw: Path, out: Path) -> dict[str, Dataset]:
    """The datasets by name; every film converts."""
    reports = convert("jsrt", raw, out)
    assert [failure for report in reports for failure in report.failures] == []
    return {report.name.removeprefix("phantom-"): Dataset.load(report.root) for report in reports}


def failures(reports: list[Report]) -> dict[str, list[str]]:
    """What was refused of each dataset."""
    return {report.name.removeprefix("phantom-"): [error.what for error in report.failures] for report in reports}
