"""Made-up records for the tests of tables."""

import itertools
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
import pytest
import sites

from leaderboards.record import FORMAT, Budget, CaseScore, Cost, Record

DICE, HD95, NSD = "dice:v1", "hd95:c6-bg-max:v1", "nsd@2mm:c6-bg-pooled:v1"
Make = Callable[..., Record]
Score = Callable[..., CaseScore]

# status -> tp, fp, fn of a structure of ten voxels
_COUNTS = {"ok": (8, 2, 2), "both_empty": (0, 0, 0), "missed": (0, 0, 10), "false": (0, 10, 0), "invalid": (0, 0, 10)}


def _score(
    case: str = "p1", label: str = "liver", *, status: str = "ok", tp: int | None = None, **metrics: float
) -> CaseScore:
    hits, extra, lost = _COUNTS[status] if tp is None else (tp, 10 - tp, 10 - tp)
    dice = None if status == "both_empty" else 2 * hits / (2 * hits + extra + lost)
    fine = status == "ok"
    values = {
        DICE: dice,
        HD95: metrics.get("hd95", 3.0) if fine else None,
        NSD: metrics.get("nsd", 0.9) if fine else None,
    }
    return CaseScore(
        case=case, subject=case.partition("-")[0], group=None, label=label, status=status, tp=hits, fp=extra, fn=lost,
        diagonal_mm=400.0, touches_border=False, ignored=0, metrics=values,
    )  # fmt: skip


@pytest.fixture(scope="session")
def score() -> Score:
    """Makes one CaseScore: `score("p1-ed", "liver", tp=8)` has a Dice of 0.8."""
    return _score


@pytest.fixture(scope="session")
def make() -> Make:
    """Makes a Record; every field can be given by name."""

    def record(cases: tuple[CaseScore, ...] | None = None, **fields: object) -> Record:
        recipe: Mapping[str, object] = {
            "seed": fields.get("seed", 0),
            "draw": fields.get("draw", "0"),
            "train": {"steps": 100},
        }
        cost = Cost(
            seconds=20.0,
            items=10,
            items_per_s=50.0,
            peak_host_mib=900.0,
            peak_device_mib=None,
            batch=4,
            precision="fp32",
            segments=1,
        )
        values: dict[str, object] = {
            "status": "done", "reason": None, "dataset": "acdc", "split": "default", "protocol": "semi10", "draw": "0",
            "method": "supervised", "seed": 0, "fold": 0, "selection": "last", "task": "labels", "annotator": "dense",
            "recipe": recipe, "digests": {"dataset": "ab" * 32, "split": "cd" * 32},
            "definitions": {"protocol": "semi10:v1", "record": str(FORMAT)}, "code": {}, "machine": {"cpu": "Some CPU"},
            "budget": Budget(labelled_subjects=7, labelled_cases=14, annotated_voxels=9, annotated_slices=3),
            "parameters": 1000, "train": cost, "predict": cost, "cases": (_score(),) if cases is None else cases,
        }  # fmt: skip
        return Record(**(values | fields))  # type: ignore[arg-type]

    return record


@pytest.fixture(scope="session")
def valued() -> Score:
    """Makes one CaseScore of given values: `valued("p1", {"dice:v1": 0.83}, "liver", status="ok")`."""

    def made(case: str, values: Mapping[str, float], label: str = "liver", status: str = "ok") -> CaseScore:
        one = _score(case, label, status=status)
        return msgspec.structs.replace(one, metrics=one.metrics | values)

    return made


@pytest.fixture(scope="session")
def runs(make: Make, valued: Score) -> Callable[..., list[Record]]:
    """Makes the records of a method, one per seed: Dice normal around `level`, the same again for the same name."""

    def records(method: str, level: float, *, patients: int = 12, seeds: int = 3, **fields: object) -> list[Record]:
        random = np.random.default_rng([*method.encode(), patients])
        dice = level + random.normal(0, 0.01, (patients, seeds))
        return [
            make(
                tuple(valued(f"p{i:03}", {DICE: float(dice[i, seed])}) for i in range(patients)),
                method=method,
                seed=seed,
                **fields,
            )
            for seed in range(seeds)
        ]

    return records


@pytest.fixture(scope="session")
def site(make: Make, score: Score, tmp_path_factory: pytest.TempPathFactory) -> sites.Built:
    """A site of harmless names and the records it was made of: for reading only."""
    folder = tmp_path_factory.mktemp("plain") / "site"
    return folder, sites.plain(make, score, folder)


@pytest.fixture(scope="session")
def bad_site(make: Make, score: Score, tmp_path_factory: pytest.TempPathFactory) -> sites.Built:
    """A site in which everything that has a name has a bad one: for reading only."""
    folder = tmp_path_factory.mktemp("hostile") / "site"
    return folder, sites.hostile(make, score, folder)


@pytest.fixture
def run(make, score):
    """Makes a record whose Dice and NSD are {label: [one value a patient]}; predictions differ from call to call."""
    number = itertools.count()

    def made(values, **fields):
        values = values if isinstance(values, dict) else {"liver": values}
        cases = tuple(
            msgspec.structs.replace(score(f"p{i}", label), metrics={DICE: float(value), NSD: float(value), HD95: 3.0})
            for label, of in values.items()
            for i, value in enumerate(of)
        )
        digests = {"dataset": "ab" * 32, "split": "cd" * 32, "predictions": str(next(number))}
        digests |= fields.pop("digests", {})
        return make(cases, digests=digests, **fields)

    return made
