"""A run of MLflow, in a store beside the runs or on a server. A run that is taken up again goes on as the same one."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.tracking.told import About, Point, State

if TYPE_CHECKING:
    from PIL.Image import Image

EXPERIMENT = "frugalseg"  # unless MLFLOW_EXPERIMENT_NAME says otherwise
RUN = "frugalseg.run"  # the tag by which a run is found again: a server makes up its own ids
_STATUS = {"done": "FINISHED", "skipped": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
_MANY = 100  # values a request: a server takes so many parameters, and ten times as many metrics
_LONGEST = 6000  # characters of a parameter
# Unless the person says otherwise: nothing goes to anybody but the store, and one that is away is soon given up.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def load() -> None:
    """Import MLflow.

    Raises:
        ImportError: it is not installed, or not as a whole.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  # it looks at these while it is imported


def beside(runs: Path) -> str:
    """The URI of the store in a folder of runs."""
    return f"sqlite:///{runs.absolute() / 'mlflow.db'}"


class Store:
    """A run in the store at `uri`; pictures go to the folder `artifacts`, or None for where the server wants them."""

    def __init__(self, about: About, uri: str, artifacts: Path | None) -> None:
        load()
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri)
        if artifacts is not None:
            artifacts.mkdir(parents=True, exist_ok=True)
        experiment = self._experiment(artifacts)
        found = self._client.search_runs([experiment], f"tags.`{RUN}` = '{about.path}'", max_results=1)
        self._there: dict[tuple[str, int], float] = {}
        if found:
            run = found[0]
            self._client.update_run(run.info.run_id, status="RUNNING")
            self._there = dict(self._known(run))
        else:
            run = self._client.create_run(experiment, run_name=about.folder.name, tags={RUN: about.path})
        self._id: str = run.info.run_id
        new = {key: value[:_LONGEST] for key, value in about.settings.items() if key not in run.data.params}
        self._parameters(new)

    def _experiment(self, artifacts: Path | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        if (found := self._client.get_experiment_by_name(name)) is None:
            place = artifacts.absolute().as_uri() if artifacts is not None else None
            with contextlib.suppress(Exception):  # another run has made it in this moment; else the next line says so
                self._client.create_experiment(name, artifact_location=place)
            found = self._client.get_experiment_by_name(name)
        if found is None:
            raise RuntimeError(f"there is no experiment '{name}', and none can be made")
        return str(found.experiment_id)

    def _known(self, run: Any) -> Iterator[tuple[tuple[str, int], float]]:
        for name in run.data.metrics:
            for metric in self._client.get_metric_history(run.info.run_id, name):
                yield (name, metric.step), metric.value

    def _parameters(self, settings: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        made = [Param(key, value) for key, value in settings.items()]
        for start in range(0, len(made), _MANY):
            self._client.log_batch(self._id, params=made[start : start + _MANY])

    def series(self, points: Sequence[Point]) -> None:
        """Add values that the store has not; of a step that was taken again with another value both stand there."""
        from mlflow.entities import Metric

        now = time.time_ns() // 10**6
        told = [(name, point.step, value) for point in points for name, value in point.values.items()]
        made = [Metric(name, value, now, step) for name, step, value in told if self._there.get((name, step)) != value]
        for start in range(0, len(made), _MANY):
            self._client.log_batch(self._id, metrics=made[start : start + _MANY])
        self._there |= {(name, step): value for name, step, value in told}

    def scores(self, scores: Mapping[str, float]) -> None:
        """Add the scores as values of step 0."""
        self.series([Point(0, scores)])

    def picture(self, name: str, picture: "Image") -> None:
        """Add a picture; one of the same name is replaced."""
        self._client.log_image(self._id, picture, artifact_file=f"pictures/{name}.png")

    def end(self, state: State) -> None:
        """Say how it ended."""
        self._client.set_tag(self._id, "frugalseg.state", state)
        self._client.set_terminated(self._id, _STATUS[state])
