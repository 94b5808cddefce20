"""How often the statistics of the tables err, on made-up scores: `python -m leaderboards.simulation --out FILE`."""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from converters.files import write_bytes
from leaderboards import statistics
from leaderboards.statistics import LEVEL, Array

PATIENTS = 20
METHOD_PATIENT, RESIDUAL, PATIENT = 0.012, 0.01, 0.05  # SDs, in Dice
SEED_SDS = (0.003, 0.006, 0.012)
SEEDS = (1, 3, 5)
_RESAMPLES = 1000


class Setting(NamedTuple):
    """One pair of methods, drawn anew in every repeat."""

    seed_sd: float
    seeds: int
    effect: float  # true difference of the means
    same: bool  # one method twice: both find the same patients hard


class Rates(NamedTuple):
    """Shares of the repeats."""

    wilcoxon: float  # p < 0.05 on seed means, as most papers test
    bootstrap: float | None  # the percentile interval of the difference leaves 0 out; None for a single seed
    two_way: float | None
    claim: float  # what a table would say: better, one way or the other
    covers_mean: float  # the 95 % interval of one method holds the true mean
    covers_difference: float


def simulate(setting: Setting, repeats: int, seed: int) -> Rates:
    """Draw pairs of methods, and judge each pair as a table would."""
    random = np.random.default_rng([seed, *_numbers(setting)])
    a, b = _draw(random, setting, repeats)
    estimate = statistics.difference(a, b)
    single = statistics.mean(a)
    tests = [statistics.signed_rank(gap) for gap in a.mean(-1) - b.mean(-1)]
    two_way = estimate.p()
    tested = setting.seeds > 1
    claims = [
        statistics.claimed(test, float(p) if tested else None, float(gap))
        for test, p, gap in zip(tests, two_way, estimate.mean, strict=True)
    ]
    return Rates(
        wilcoxon=float(np.mean([test.p < LEVEL for test in tests])),
        bootstrap=_bootstrap(random, a, b) if tested else None,
        two_way=float((two_way < LEVEL).mean()) if tested else None,
        claim=float(np.mean([side != 0 for side in claims])),
        covers_mean=_covers(single, 0.9 + setting.effect),
        covers_difference=_covers(estimate, setting.effect),
    )


def _numbers(setting: Setting) -> list[int]:
    return [round(1e6 * setting.seed_sd), setting.seeds, round(1e6 * setting.effect), int(setting.same)]


def _draw(random: np.random.Generator, setting: Setting, repeats: int) -> tuple[Array, Array]:
    """Two score arrays (repeats, patients, seeds) around 0.9, the first better by the effect."""
    shape = (repeats, PATIENTS, setting.seeds)
    patient = random.normal(0.9, PATIENT, (repeats, PATIENTS, 1))
    habits = random.normal(0, METHOD_PATIENT, (2, repeats, PATIENTS, 1))
    seeds = random.normal(0, setting.seed_sd, (2, repeats, 1, setting.seeds))
    a, b = patient + habits[[0, 0 if setting.same else 1]] + seeds + random.normal(0, RESIDUAL, (2, *shape))
    return a + setting.effect, b


def _covers(estimate: statistics.Estimate, truth: float) -> float:
    low, high = estimate.bounds()
    return float(((low <= truth) & (truth <= high)).mean())


def _bootstrap(random: np.random.Generator, a: Array, b: Array) -> float:
    """How often the interval of `statistics.bootstrap` leaves 0 out; all repeats share one plan of draws."""
    patients = statistics.draws(random, a.shape[1], _RESAMPLES)
    seeds = [statistics.draws(random, scores.shape[2], _RESAMPLES) for scores in (a, b)]
    out: list[bool] = []
    for part in np.array_split(np.arange(len(a)), max(1, len(a) // 200)):
        means = [
            ((patients @ statistics.widened(scores[part])) * weights).sum(-1)
            for scores, weights in zip((a, b), seeds, strict=True)
        ]
        low, high = statistics.percentiles((means[0] - means[1]).T)
        out.extend(((low > 0) | (high < 0)).tolist())
    return float(np.mean(out))


def page(repeats: int, seed: int) -> str:
    """The committed page: every setting, as Markdown."""
    return "\n".join(_lines(repeats, seed)) + "\n"


def _lines(repeats: int, seed: int) -> Iterator[str]:
    yield "# How often the statistics err"
    yield ""
    yield f"Made by `python -m leaderboards.simulation --repeats {repeats} --seed {seed} --out docs/simulation.md`."
    yield ""
    yield (
        f"{repeats} pairs of methods per line; {PATIENTS} patients; SD over patients {PATIENT}, of a method on a "
        f"patient {METHOD_PATIENT}, residual {RESIDUAL}. A claim is what a table would say: the signed-rank and the "
        "two-way test are both below 0.05. With a single seed there is no two-way test, and so no claim. Bootstrap: "
        f"{_RESAMPLES} resamples. The last two columns are coverages of the 95 % intervals of `docs/metrics.md`."
    )
    for title, effect, same in (
        ("Two runs of one method, other seeds: called different", 0.0, True),
        ("Two methods with the same mean: called different", 0.0, False),
        ("A true difference of 0.01: found", 0.01, False),
    ):
        yield from ("", f"## {title}", "")
        yield "| seed SD | seeds | Wilcoxon | bootstrap | two-way | claim | interval holds mean | holds difference |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
        for seed_sd, seeds in itertools.product(SEED_SDS, SEEDS):
            rates = simulate(Setting(seed_sd, seeds, effect, same), repeats, seed)
            cells = [f"{seed_sd}", f"{seeds}", *("-" if rate is None else f"{rate:.3f}" for rate in rates)]
            yield f"| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Write the page to --out, or to stdout."""
    parser = argparse.ArgumentParser(prog="python -m leaderboards.simulation", description=__doc__)
    parser.add_argument("--repeats", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(words)
    text = page(options.repeats, options.seed)
    if options.out:
        write_bytes(options.out, text.encode())
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
