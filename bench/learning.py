"""What a person typed about learning -> Recipe: the part that `run`, `train` and `demo` share."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from bench.locate import cache_folder
from bench.recipe import PHANTOM, Choice, Recipe, resolve


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learning:
    """The options of `bench.options.learning`."""

    method: str | None = None
    preset: str | None = None
    config: Path | None = None
    settings: tuple[str, ...] = ()
    auto_batch: bool = False
    deterministic: bool = False
    device: str = "auto"
    plugin: Path | None = None
    cache: str | None = None

    @property
    def packs(self) -> Path | None:
        """The folder of packs; None keeps prepared cases in memory."""
        return cache_folder(self.cache)

    def recipe(self, dataset: str, flags: Mapping[str, str | int | None]) -> Recipe:
        """The recipe for a dataset on this machine.

        Raises:
            UsageError: no such preset or method.
            EnvironmentFault: no such device.
            BenchError: a key or value that does not fit.
        """
        from baselines import method
        from baselines.device import fast_bf16, pick

        gpu = pick(self.device) != "cpu"
        fallback = "demo" if dataset.startswith(PHANTOM) else "published" if gpu else "cpu"
        typed = [f'train.method="{self.method}"'] if self.method else []
        typed += ["train.deterministic=true"] if self.deterministic else []
        typed += ['train.accumulate="auto"'] if self.auto_batch else []
        choice = Choice(
            dataset=dataset,
            preset=self.preset or fallback,
            config=self.config,
            settings=(*typed, *self.settings),
            flags=dict(flags),
        )
        made = resolve(choice, bf16=gpu or fast_bf16())
        method.find(made.train.method, self.plugin)
        return made
