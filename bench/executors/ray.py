"""Runs as tasks of a Ray cluster: one that exists, or one of this machine for as long as the sweep takes."""

import logging
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.executors.attempt import attempt
from bench.executors.ends import End
from bench.executors.settings import Value
from bench.output import say
from converters.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from ray import ObjectRef

GRACE = 120.0  # seconds to wait for runs that were asked to stop


class Ray:
    """Tasks that Ray places where the resources of a run are free, and does not repeat itself: that is for Attempts."""

    look_every = 0.5

    def __init__(self, address: str | None, settings: Mapping[str, Value], *, gpu: bool) -> None:
        """Join the cluster at the address, or start one here.

        Raises:
            EnvironmentFault: Ray is not installed, or no cluster answers.
            UsageError: a resource is no number.
        """
        self._needs = resources(settings, gpu=gpu)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address is None:
            _private()
        try:
            import ray
        except ModuleNotFoundError:
            raise EnvironmentFault("Ray is not installed", mend="pip install 'frugalseg[ray]'") from None
        here = {"include_dashboard": False} if address is None else {}
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EnvironmentFault(f"no Ray cluster: {error}", where=address, mend="ray status --address ...") from None
        self._ray = ray
        self._tell_what_is_missing()

    def submit(self, lines: Sequence[Sequence[str]]) -> "list[ObjectRef[tuple[int, str]]]":
        """A task each."""
        task = self._ray.remote(attempt).options(max_retries=0, **self._needs)
        return [task.remote(list(words), str(Path.cwd())) for words in lines]

    def end(self, handle: "ObjectRef[tuple[int, str]]") -> End | None:
        """What came back; from a worker or node that died, nobody did."""
        ready, _ = self._ray.wait([handle], timeout=0)
        if not ready:
            return None
        try:
            return End(*self._ray.get(handle))
        except self._ray.exceptions.RayError as error:
            first = next((line for line in str(error).splitlines() if line.strip()), "")
            return End(None, f"{type(error).__name__}: {first}")

    def stop(self, handles: "Sequence[ObjectRef[tuple[int, str]]]") -> None:
        """Each run at work saves a checkpoint; those that wait are taken back."""
        for handle in handles:
            self._ray.cancel(handle, force=False)
        until, left = time.monotonic() + GRACE, list(handles)
        while left and time.monotonic() < until:
            left = [handle for handle in left if self.end(handle) is None]
            time.sleep(self.look_every)

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        self._ray.shutdown()

    def _tell_what_is_missing(self) -> None:
        there = self._ray.cluster_resources()
        wanted = {"CPU": self._needs["num_cpus"], "GPU": self._needs["num_gpus"], **self._needs["resources"]}
        for name, amount in wanted.items():
            if amount > there.get(name, 0):
                say(f"the cluster has {there.get(name, 0):g} {name}, a run needs {amount:g}: runs wait for such a node")


def resources(settings: Mapping[str, Value], *, gpu: bool) -> dict[str, Any]:
    """What a task is given: num_cpus, num_gpus, memory in bytes; any other name is a resource of your own cluster.

    Raises:
        UsageError: one is no number.
    """
    for name, value in settings.items():
        if isinstance(value, bool | str):
            raise UsageError(f"--ray {name}={value} is not a number", mend="--ray num_gpus=0.5")
    own = {name: value for name, value in settings.items() if name not in ("num_cpus", "num_gpus", "memory")}
    memory = {"memory": settings["memory"]} if "memory" in settings else {}
    return {
        "num_cpus": settings.get("num_cpus", 1),
        "num_gpus": settings.get("num_gpus", 1 if gpu else 0),
        "resources": own,
        **memory,
    }


def _private() -> None:
    """A token for a cluster of our own, which Ray would else write into the home folder and leave there."""
    if "RAY_AUTH_MODE" not in os.environ and not (Path.home() / ".ray" / "auth_token").exists():
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
