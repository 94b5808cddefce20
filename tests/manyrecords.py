"""Records by the thousand, each as long as `bench run` writes them: `from manyrecords import write_records`."""

import itertools
from pathlib import Path

import numpy as np

from converters.files import canonical_json, digest
from leaderboards.record import FORMAT, Budget, CaseScore, Cost, Record

PROTOCOLS = ("full", "semi5", "semi10", "semi20", "semi50", "scribble", "noisy25", "box")
LABELS = ("LV", "MYO", "RV")
_SIZE, _DIAGONAL = 1 / 64, 500.0  # mL of a voxel, mm
_DISTANCES = ("assd:c6-bg-pooled:v1", "hd95:c6-bg-max:v1", "hd:c6-bg-max:v1", "masd:c6-bg-mean:v1")
_SHARES = (
    "boundary_iou@1mm:c6-bg:v1",
    "boundary_iou@2mm:c6-bg:v1",
    "nsd@1mm:c6-bg-pooled:v1",
    "nsd@2mm:c6-bg-pooled:v1",
)
_LESIONS = ("f1", "precision", "sensitivity", "detected", "false", "prediction", "reference")


def write_records(folder: Path, shape: tuple[int, int, int, int], cases: int = 20) -> int:
    """Datasets x protocols x methods x seeds as `record.json` in a folder each; how many.

    Every eleventh dataset is a phantom; one structure in fifty is missed. A method has the same level everywhere.
    """
    datasets, protocols, methods, seeds = shape
    runs = list(itertools.product(range(datasets), PROTOCOLS[:protocols], range(methods), range(seeds)))
    for number, (dataset, protocol, method, seed) in enumerate(runs):
        name = f"phantom-{dataset:02}" if dataset % 11 == 10 else f"data-{dataset:02}"
        made = record((name, protocol, f"method_{method}", seed), number, cases)
        path = folder / f"{name}-{protocol}-{method}-{seed}" / "record.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(canonical_json(made))
    return len(runs)


def record(run: tuple[str, str, str, int], number: int, cases: int) -> Record:
    """One run that breaks no rule."""
    dataset, protocol, method, seed = run
    rng = np.random.default_rng(number)
    scores = tuple(
        _score(f"p{case:03}-ed", label, 0.7 + 0.02 * (int(method[-1]) % 10), rng)
        for case in range(cases)
        for label in LABELS
    )
    recipe = {"dataset": dataset, "protocol": protocol, "seed": seed, "train": {"method": method, "steps": 10000}}
    predictions = {f"prediction:{score.case}": digest([number, score.case]) for score in scores}
    digests = {name: digest([name, dataset]) for name in ("dataset", "split", "code")}
    digests |= {"recipe": digest(recipe), "predictions": digest(predictions)} | predictions
    budget = Budget(labelled_subjects=7, labelled_cases=14, annotated_voxels=90000, annotated_slices=140, minutes=60.0)
    if protocol.startswith("noisy"):
        budget = Budget(**{field: getattr(budget, field) for field in budget.__struct_fields__} | {"agreement": 0.8})
    return Record(
        status="done", reason=None, dataset=dataset, split="default", protocol=protocol, draw="0", method=method,
        seed=seed, fold=0, selection="last", task="labels", annotator="dense", recipe=recipe, digests=digests,
        definitions={"protocol": f"{protocol}:v1", "record": str(FORMAT)},
        code={"commit": "ab" * 20, "dirty": "false"}, machine={"cpu": "Some CPU", "cores": "2"}, budget=budget,
        parameters=1_813_000, train=_cost(80_000, 900.0 + seed), predict=_cost(cases, 20.0 + method.__len__()),
        cases=scores,
    )  # fmt: skip


def _cost(items: int, seconds: float) -> Cost:
    return Cost(
        seconds=seconds, items=items, items_per_s=items / seconds, peak_host_mib=900.0, peak_device_mib=None, batch=8,
        precision="fp32", segments=1, step_ms={"p50": 10.0, "p90": 11.0, "p99": 12.5},
    )  # fmt: skip


def _score(case: str, label: str, level: float, rng: np.random.Generator) -> CaseScore:
    reference = int(rng.integers(4000, 9000))
    missed = rng.random() < 0.02
    tp = 0 if missed else int(reference * np.clip(rng.normal(level, 0.05), 0.1, 0.99))
    fp = 0 if missed else int(rng.integers(200, 900))
    fn = reference - tp
    return CaseScore(
        case=case, subject=case.partition("-")[0], group="ED", label=label, status="missed" if missed else "ok", tp=tp,
        fp=fp, fn=fn, diagonal_mm=_DIAGONAL, touches_border=False, ignored=0,
        metrics=_counted(tp, fp, fn) | _measured(missed, rng),
    )  # fmt: skip


def _counted(tp: int, fp: int, fn: int) -> dict[str, float | None]:
    some = {"precision:v1": tp / (tp + fp), "sensitivity:v1": tp / (tp + fn)} if tp else {}
    signed = 100 * (fp - fn) / (tp + fn)
    volumes = {"reference": tp + fn, "prediction": tp + fp, "false": fp, "error": fp - fn, "abs_error": abs(fp - fn)}
    return {
        "dice:v1": 2 * tp / (2 * tp + fp + fn),
        "iou:v1": tp / (tp + fp + fn),
        "precision:v1": None,
        "sensitivity:v1": 0.0,
        "rvd:v1": signed,
        "ravd:v1": abs(signed),
        **some,
        **{f"volume_{what}_ml:v1": voxels * _SIZE for what, voxels in volumes.items()},
    }


def _measured(missed: bool, rng: np.random.Generator) -> dict[str, float | None]:
    values = rng.random(len(_DISTANCES) + len(_SHARES) + len(_LESIONS))
    scales = (3.0, 12.0, 40.0, 3.0, *(1.0,) * (len(_SHARES) + len(_LESIONS)))
    names = (*_DISTANCES, *_SHARES, *(f"lesion{'s' if k > 2 else ''}_{name}:c26:v1" for k, name in enumerate(_LESIONS)))
    return {
        name: None if missed else float(value * scale) for name, value, scale in zip(names, values, scales, strict=True)
    }
