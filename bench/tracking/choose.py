"""What was typed after --track -> trackers, all that they need at hand before a run begins."""

import importlib.util
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.tracking import mlflow_store, tensorboard_files
from bench.tracking.courier import Wanted
from bench.tracking.told import Which
from converters.errors import EnvironmentFault, UsageError, unknown_name

NAMES = ("tensorboard", "mlflow")


def chosen(typed: Sequence[str], runs: Path, which: Which | None) -> tuple[Wanted, ...]:
    """The trackers of `--track`, each once.

    Args:
        typed: `tensorboard`, `mlflow`, or `mlflow:URI`.
        runs: the folder of runs, beside which MLflow has its store where no URI is given.
        which: of whose cases they get pictures; None: all where these stay on this machine, else made-up patients.

    Raises:
        UsageError: there is no such tracker, or what follows it is no URI.
        EnvironmentFault: its package is not installed.
    """
    return tuple(_one(word, runs, which) for word in dict.fromkeys(typed))


def _one(word: str, runs: Path, which: Which | None) -> Wanted:
    name, colon, uri = word.partition(":")
    if name not in NAMES:
        raise unknown_name("tracker", name, NAMES)
    if colon and (name == "tensorboard" or not re.match(r"[a-z][a-z0-9+.-]*:", uri)):
        raise UsageError(
            f"--track {name}:... is no place to track to",
            mend="--track tensorboard (in the run folder), --track mlflow, or --track mlflow:URI, as sqlite:///FILE",
        )
    if importlib.util.find_spec(name) is None:
        raise EnvironmentFault(f"--track {name} needs the package {name}", mend="pip install 'frugalseg[track]'")
    if name == "tensorboard":
        return Wanted(name, tensorboard_files.EventFiles, which or "all", tensorboard_files.load)
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    here = not uri or uri.startswith("sqlite:")
    store = partial(
        mlflow_store.Store, uri=uri or mlflow_store.beside(runs), artifacts=runs / "mlflow-artifacts" if here else None
    )
    return Wanted(name, store, which or ("all" if here else "phantoms"), mlflow_store.load)
