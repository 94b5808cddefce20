"""A folder of predictions -> scores and digests: the same four calls whatever the task."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from baselines.task import LABELS
from bench import metrics, score, task_metrics, task_score
from bench.matching import Match, with_dataset
from bench.plan import Plan
from bench.score import Advance, Structures
from bench.task_asked import Asked
from converters.dataset import Case, Dataset
from leaderboards.record import CaseScore


@dataclasses.dataclass(frozen=True)
class Scorer:
    """How predictions for a dataset are scored."""

    dataset: Dataset
    asked: Asked | None = None  # None: label maps
    profiles: tuple[str, ...] = ()  # of label maps: by whose rules to score, too

    @classmethod
    def of(cls, plan: Plan) -> "Scorer":
        """As a plan asks for it."""
        if plan.recipe.task == LABELS:
            return cls(plan.dataset)
        return cls(plan.dataset, Asked.of(plan.recipe, plan.dataset, plan.split, plan.protocol))

    @property
    def version(self) -> str:
        """Digest of the definitions that it gives values of."""
        return metrics.version() if self.asked is None else task_metrics.version()

    def matches(self, predictions: Path, cases: Sequence[Case]) -> tuple[Match, ...]:
        """Every case with what is predicted for it."""
        if self.asked is None:
            return with_dataset(predictions, self.dataset, cases)[0]
        return task_score.task_matches(predictions, self.dataset, cases, self.asked.task)

    def score(self, matches: Sequence[Match], progress: Advance | None, problems: list[str]) -> tuple[CaseScore, ...]:
        """Score case after case; `problems` is given a sentence about each prediction that is not valid."""
        if self.asked is not None:
            return task_score.score_task(matches, self.dataset, self.asked, progress, problems)
        structures = dataclasses.replace(Structures.of(self.dataset), profiles=self.profiles)
        return score.score_matches(matches, structures, progress, problems)

    def digests(self, matches: Sequence[Match]) -> dict[str, str]:
        """Digest of what is predicted for each case; a case without a readable prediction has none."""
        if self.asked is None:
            return score.prediction_digests(matches)
        return task_score.task_digests(matches, self.dataset, self.asked.task)
