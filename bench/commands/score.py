"""Score predicted label maps against references: two files, two folders, or a folder and a dataset."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import JSON
from bench.output import print_json, print_table, progress, say
from converters.errors import UsageError

if TYPE_CHECKING:
    from bench.foreign import Claim
    from leaderboards.record import CaseScore

SHOWN = ("dice", "iou", "hd95", "assd", "nsd", "ravd")  # the rest is in --json and in the record
COUNTED = ("missed", "false", "invalid", "both_empty")
SOMETHING_FAILED = 1
_THERE = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.argument("prediction", type=_THERE)
@click.argument("reference", type=_THERE)
@click.option("--split", help="A split of the dataset; its test cases are scored.  [default: default]")
@click.option("--cases", "per_case", is_flag=True, help="A line for each case and label, too.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME",
    help="Score by somebody else's rules, too (`bench ls profiles`); may be given again.",
)
@click.option("--method", help="Write a record under this name, which `bench table` ranks.")
@click.option("--protocol", default="unstated", show_default=True, help="Which labels the method saw; for the record.")
@click.option(
    "--labels", metavar="KIND", help="Dense, expert ..., as tables have it; for the record.  [of the protocol]"
)
@click.option("--draw", help="Which list of labelled subjects it was; for the record.")
@click.option(
    "--selection",
    type=click.Choice(["last", "best_val", "early_stop"]),
    help="Which step of training predicted; for the record.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which repeat of the method it is; for the record.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the record.  [runs/foreign/...]"
)
@JSON
@click.pass_context
def command(context: click.Context, /, **_: object) -> int:
    """Print scores; exit 1 where a prediction is missing or invalid, which counts as the worst there is."""
    from bench import foreign, profile
    from bench.score import score_matches

    asked = Asked(**context.params)
    if asked.method is None and asked.out is not None:
        raise UsageError(f"--out {asked.out}: without a name there is no record", mend="--method NAME")
    profiles = profile.named(asked.profiles)
    claim = asked.claim()
    work = foreign.compare(asked.prediction, asked.reference, asked.split)
    problems = list(work.problems)
    structures = dataclasses.replace(work.structures, profiles=profiles)
    with progress("score", len(work.matches)) as advance:
        scores = score_matches(work.matches, structures, advance, problems)
    for problem in problems:
        say(problem)
    asked.show(scores, profiles)
    if claim is not None:
        record = foreign.record(work, scores, claim)
        path = (asked.out or foreign.default_folder(record)) / "record.json"
        record.save(path)
        say(f"record: {path}")
    return SOMETHING_FAILED if any(score.status == "invalid" for score in scores) else 0


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was typed."""

    prediction: Path
    reference: Path
    split: str | None
    per_case: bool
    profiles: tuple[str, ...]
    method: str | None
    protocol: str
    labels: str | None
    draw: str | None
    selection: str | None
    seed: int
    out: Path | None
    as_json: bool

    def claim(self) -> "Claim | None":
        """What is said of the predictions; None where no record is asked for."""
        from bench.foreign import Claim, Training

        training = Training(self.protocol, self.labels, self.draw, self.selection)
        return None if self.method is None else Claim.of(self.method, self.seed, training)

    def show(self, scores: "Sequence[CaseScore]", profiles: Sequence[str]) -> None:
        """One JSON object for each case and label, or tables: ours, and one for each profile."""
        if self.as_json:
            for score in scores:
                print_json(score)
            return
        if self.per_case:
            print_table(*_cases(scores))
            click.echo()
        print_table(*_labels(scores))
        for name in profiles:
            click.echo()
            if self.per_case:
                print_table(*_profile_cases(name, scores))
                click.echo()
            print_table(*_profile_labels(name, scores))


def _definitions(scores: "Sequence[CaseScore]") -> list[str]:
    from leaderboards.summary import family

    return [definition for kind in SHOWN for definition in scores[0].metrics if family(definition) == kind]


def _cases(scores: "Sequence[CaseScore]") -> tuple[list[str], list[list[str]]]:
    definitions = _definitions(scores)
    columns = ["case", "label", "status", *map(_unit, definitions), "touches border"]
    rows = [
        [s.case, s.label, s.status, *(_number(s.metrics[d]) for d in definitions), "yes" if s.touches_border else ""]
        for s in scores
    ]
    return columns, rows


def _labels(scores: "Sequence[CaseScore]") -> tuple[list[str], list[list[str]]]:
    definitions = _definitions(scores)
    groups = _by_label(scores)
    if len(groups) > 1:
        groups["(mean over labels)"] = list(scores)
    rows = [
        [label, str(len(members)), *(_mean(members, d) for d in definitions), *_counts(members)]
        for label, members in groups.items()
    ]
    return ["label", "scores", *map(_heading, definitions), *COUNTED], rows


def _by_label(scores: "Sequence[CaseScore]") -> "dict[str, list[CaseScore]]":
    return {label: [s for s in scores if s.label == label] for label in dict.fromkeys(s.label for s in scores)}


def _profile_cases(name: str, scores: "Sequence[CaseScore]") -> tuple[list[str], list[list[str]]]:
    numbers, headings = _of_profile(name, scores)
    rows = [[s.case, s.label, s.status, *(_number(s.metrics[d]) for d in numbers)] for s in scores]
    return [f"{name}: case", "label", "status", *headings], rows


def _profile_labels(name: str, scores: "Sequence[CaseScore]") -> tuple[list[str], list[list[str]]]:
    """Plain means, as a profile's own scripts give them, over the cases that have a value."""
    numbers, headings = _of_profile(name, scores)
    rows = [
        [label, str(len(members)), *(_plain_mean(members, d) for d in numbers)]
        for label, members in _by_label(scores).items()
    ]
    return [f"{name}: label", "scores", *headings], rows


def _of_profile(name: str, scores: "Sequence[CaseScore]") -> tuple[list[str], list[str]]:
    from leaderboards.summary import short

    found = [definition for definition in scores[0].metrics if definition.startswith(f"{name}.")]
    return found, [short(definition).removeprefix(f"{name}.") for definition in found]


def _plain_mean(scores: "Sequence[CaseScore]", definition: str) -> str:
    """With the number of values where it is not that of the scores: scripts differ in what they leave out."""
    from statistics import fmean

    values = [value for s in scores if (value := s.metrics[definition]) is not None]
    if not values:
        return ""
    return _number(fmean(values)) + ("" if len(values) == len(scores) else f" (of {len(values)})")


def _counts(scores: "Sequence[CaseScore]") -> list[str]:
    return [str(sum(score.status == status for score in scores)) for status in COUNTED]


def _mean(scores: "Sequence[CaseScore]", definition: str) -> str:
    """Mean as tables count it; for distances the median too, which no image diagonal pulls away."""
    from leaderboards.summary import DISTANCES, family, summarise

    summary = summarise([scores], definition)
    if summary is None:
        return ""
    median = f" ({_number(summary.median)})" if family(definition) in DISTANCES else ""
    return _number(summary.mean) + median


def _heading(definition: str) -> str:
    from leaderboards.summary import DISTANCES, family

    return _unit(definition) + (" (median)" if family(definition) in DISTANCES else "")


def _unit(definition: str) -> str:
    from leaderboards.summary import DISTANCES, family, short

    kind = family(definition)
    return short(definition) + (" mm" if kind in DISTANCES else " %" if kind == "ravd" else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if value < 10 else f"{value:.2f}"
