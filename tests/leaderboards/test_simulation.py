"""How often the statistics err, in small; the whole is committed as docs/simulation.md."""

import re
from pathlib import Path

import pytest

from leaderboards.simulation import SEED_SDS, SEEDS, Setting, main, simulate

PAGE = Path(__file__).resolve().parents[2] / "docs/simulation.md"
REPEATS = 400


@pytest.fixture(scope="module")
def same():
    """Two runs of one method with other seeds, 20 patients, 3 seeds."""
    return {sd: simulate(Setting(sd, 3, 0.0, same=True), REPEATS, seed=1) for sd in SEED_SDS}


@pytest.mark.parametrize("seed_sd", SEED_SDS)
def test_one_method_with_other_seeds_is_rarely_called_different(same, seed_sd):
    assert same[seed_sd].claim <= 0.07


@pytest.mark.parametrize("seed_sd", SEED_SDS)
def test_the_signed_ranks_alone_call_it_different_often(same, seed_sd):
    assert same[seed_sd].wilcoxon > 0.15


def test_two_methods_of_one_mean_are_rarely_called_different():
    rates = simulate(Setting(0.006, 3, 0.0, same=False), REPEATS, seed=2)
    assert rates.claim <= 0.07 < rates.wilcoxon


def test_a_true_difference_is_found_and_more_often_with_more_seeds():
    three, five = (simulate(Setting(0.006, seeds, 0.01, same=False), REPEATS, seed=3) for seeds in (3, 5))
    assert 0.15 < three.claim < five.claim


def test_intervals_hold_the_truth_as_often_as_they_say_and_less_with_a_single_seed():
    three, one = (simulate(Setting(0.012, seeds, 0.0, same=False), REPEATS, seed=4) for seeds in (3, 1))
    assert 0.92 < three.covers_mean < 0.98 and three.covers_difference > 0.92
    assert one.covers_mean < 0.90 and one.covers_difference < 0.6


def test_a_single_seed_claims_nothing():
    rates = simulate(Setting(0.003, 1, 0.0, same=True), 20, seed=5)
    assert (rates.bootstrap, rates.two_way, rates.claim) == (None, None, 0.0)


def committed():
    """Title -> (seed SD, seeds) -> Wilcoxon, bootstrap, two-way, claim, coverages."""
    found = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        lines = [line.strip("| ").split(" | ") for line in part.splitlines() if re.match(r"\| 0\.", line)]
        found[part.splitlines()[0]] = {
            (float(sd), int(seeds)): [None if cell == "-" else float(cell) for cell in cells]
            for sd, seeds, *cells in lines
        }
    return found


def test_the_committed_page_keeps_the_promise_and_is_what_the_code_gives(same):
    tables = committed()
    runs, methods, _ = tables.values()
    assert set(runs) == {(sd, seeds) for sd in SEED_SDS for seeds in SEEDS}
    assert all(cells[3] <= 0.07 for table in (runs, methods) for cells in table.values())
    for sd, rates in same.items():
        # Four standard errors of 400 repeats.
        for here, there in zip(rates, runs[sd, 3], strict=True):
            assert here == pytest.approx(there, abs=4 * (max(there * (1 - there), 0.01) / REPEATS) ** 0.5)


def test_the_page_names_the_command_that_made_it(tmp_path, capsys):
    assert "`python -m leaderboards.simulation --repeats 10000 --seed 0 --out docs/simulation.md`" in PAGE.read_text()
    main(["--repeats", "5", "--seed", "9", "--out", str(tmp_path / "page.md")])
    main(["--repeats", "5", "--seed", "9"])
    assert capsys.readouterr().out == (tmp_path / "page.md").read_text()
    assert "--repeats 5 --seed 9 " in (tmp_path / "page.md").read_text()
