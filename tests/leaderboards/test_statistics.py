"""Statistics against SciPy in the limits it knows, against numbers worked out by hand, and as properties."""

import time
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leaderboards.statistics import (
    SignedRank,
    bootstrap,
    chance,
    claimed,
    difference,
    draws,
    holm,
    mean,
    percentiles,
    ranking,
    ranks,
    signed_rank,
    smallest,
    widened,
)


def normal(seed, *shape, sd=1.0):
    return np.random.default_rng(seed).normal(0, sd, shape)


def test_one_seed_is_the_students_interval_of_patients():
    scores = normal(0, 12, 1)
    low, high = mean(scores).bounds()
    expected = scipy.stats.ttest_1samp(scores[:, 0], 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx(tuple(expected))
    assert mean(scores).df == pytest.approx(11)


def test_patients_that_do_not_vary_leave_the_students_interval_of_seeds():
    scores = np.tile(normal(1, 1, 4), (9, 1))
    low, high = mean(scores).bounds()
    assert (low, high) == pytest.approx(tuple(scipy.stats.ttest_1samp(scores[0], 0).confidence_interval(0.95)))


def test_an_interval_worked_out_by_hand():
    # Patients 1, 2, 3 and seeds -1, +1: s2 1 and 2, so SE2 = 1/3 + 2/2 and df = (4/3)^2 / ((1/3)^2/2 + 1^2/1).
    scores = np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    estimate = mean(scores)
    assert estimate.mean == pytest.approx(2.0)
    assert estimate.error**2 == pytest.approx(4 / 3)
    assert estimate.df == pytest.approx((16 / 9) / (1 / 18 + 1))


def test_methods_without_patient_spread_give_welchs_test():
    a, b = np.tile(normal(2, 1, 5), (7, 1)), np.tile(normal(3, 1, 3, sd=3.0) + 1, (7, 1))
    expected = scipy.stats.ttest_ind(a[0], b[0], equal_var=False)
    estimate = difference(a, b)
    assert estimate.p() == pytest.approx(expected.pvalue)
    assert estimate.df == pytest.approx(expected.df)
    assert estimate.bounds() == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_methods_without_seed_spread_give_the_paired_t_test():
    a, b = normal(4, 15, 1), normal(5, 15, 1)
    expected = scipy.stats.ttest_rel(a[:, 0], b[:, 0])
    for repeats in (1, 3):
        estimate = difference(np.repeat(a, repeats, 1), np.repeat(b, repeats, 1))
        # Three equal seeds add no variance but rounding, and so the df of patients alone.
        assert estimate.p() == pytest.approx(expected.pvalue)
        assert estimate.df == pytest.approx(14)


def test_a_difference_with_all_three_parts_by_hand():
    a, b = normal(6, 8, 3), normal(7, 8, 2)
    parts = [
        ((a.mean(1) - b.mean(1)).var(ddof=1) / 8, 7),
        (a.mean(0).var(ddof=1) / 3, 2),
        (b.mean(0).var(ddof=1) / 2, 1),
    ]
    square = sum(part for part, _ in parts)
    estimate = difference(a, b)
    assert estimate.error == pytest.approx(square**0.5)
    assert estimate.df == pytest.approx(square**2 / sum(part**2 / df for part, df in parts))
    t = (a.mean() - b.mean()) / square**0.5
    assert estimate.p() == pytest.approx(2 * scipy.stats.t.sf(abs(t), estimate.df))


def test_scores_that_do_not_vary_have_an_interval_of_one_point():
    low, high = mean(np.ones((5, 3))).bounds()
    assert (low, high) == (1.0, 1.0)
    assert difference(np.ones((5, 3)), np.ones((5, 2))).p() == 1.0
    assert difference(np.ones((5, 3)), np.zeros((5, 2))).p() == 0.0


def test_many_tables_at_once_are_the_tables_one_by_one():
    a, b = normal(8, 4, 9, 3), normal(9, 4, 9, 3)
    whole = difference(a, b)
    for i in range(4):
        one = difference(a[i], b[i])
        for all_tables, alone in zip((*whole, whole.p()), (*one, one.p()), strict=True):
            assert all_tables[i] == pytest.approx(alone)


@pytest.mark.parametrize("count", [3, 6, 8, 20, 50])
def test_signed_ranks_without_ties_are_scipys_exact_test(count):
    values = normal(count, count) + 0.3
    expected = scipy.stats.wilcoxon(values, zero_method="pratt", method="exact")
    assert signed_rank(values).p == pytest.approx(expected.pvalue)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_signed_ranks_with_ties_and_zeros_are_those_of_all_arrangements_of_signs(values):
    # Brute force: rank with the zeros, drop them, and flip every remaining sign.
    told = np.array(values, float)
    sizes = scipy.stats.rankdata(np.abs(told))[told != 0]
    seen = min(sizes[told[told != 0] > 0].sum(), sizes[told[told != 0] < 0].sum())
    sums = [
        sum(r for r, plus in zip(sizes, signs, strict=True) if plus) for signs in product([0, 1], repeat=len(sizes))
    ]
    expected = min(1, 2 * Fraction(sum(total <= seen for total in sums), len(sums)))
    assert signed_rank(told).p == pytest.approx(float(expected))


def test_beyond_two_hundred_patients_signed_ranks_are_scipys_normal_approximation():
    values = np.round(normal(10, 300) + 0.1, 1)
    expected = scipy.stats.wilcoxon(values, zero_method="pratt", method="approx")
    assert (values == 0).any()
    assert signed_rank(values).p == pytest.approx(expected.pvalue)


def test_both_ways_to_the_signed_ranks_agree_where_they_meet():
    values = np.round(normal(11, 200) + 0.15, 1)
    expected = scipy.stats.wilcoxon(values, zero_method="pratt", method="approx").pvalue
    assert signed_rank(values).p == pytest.approx(expected, rel=0.05)
    assert expected > 1e-4


def test_five_gains_among_fifteen_zeros_prove_nothing():
    values = np.concatenate([np.zeros(15), np.linspace(0.1, 0.2, 5)])
    assert scipy.stats.wilcoxon(values, zero_method="pratt", method="approx").pvalue < 0.03
    assert signed_rank(values) == SignedRank(p=0.0625, sign=1)


def test_no_difference_at_all_is_no_difference():
    assert signed_rank(np.zeros(7)) == SignedRank(p=1.0, sign=0)
    assert signed_rank(np.array([0.1, -0.1])).sign == 0
    assert signed_rank(np.full(6, 1e-16)).p == 1.0  # rounding is no gain


@given(arrays(float, st.integers(1, 30), elements=st.floats(-1, 1)))
def test_turning_the_differences_round_turns_the_sign_and_keeps_p(values):
    one, other = signed_rank(values), signed_rank(-values)
    assert (one.p, one.sign) == (other.p, -other.sign)
    assert 0 < one.p <= 1


def test_holm_on_numbers_worked_out_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, and the last may not fall.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(p):
    adjusted = holm(p)
    assert all(a <= b <= min(1, a * len(p)) + 1e-12 for a, b in zip(p, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, len(p) * min(p)))


@pytest.mark.parametrize(("pairs", "patients"), [(1, 6), (3, 7), (6, 8), (10, 9), (15, 10), (45, 11)])
def test_so_many_patients_are_needed(pairs, patients):
    assert smallest(pairs) == patients
    # All patients on one side is the clearest there is.
    assert pairs * signed_rank(np.arange(1.0, patients + 1)).p < 0.05
    assert pairs * signed_rank(np.arange(1.0, patients)).p >= 0.05


def test_the_documented_numbers_of_patients_are_the_computed_ones():
    text = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text()
    pairs, patients = (
        [int(cell) for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line.startswith(("| pairs m |", "| smallest n |"))
    )
    assert patients == [smallest(count) for count in pairs]


def test_a_claim_takes_both_tests_and_one_direction():
    sure = SignedRank(0.01, 1)
    assert claimed(sure, 0.01, 0.2) == 1
    assert claimed(SignedRank(0.01, -1), 0.01, -0.2) == -1
    assert claimed(sure, 0.05, 0.2) == 0
    assert claimed(SignedRank(0.05, 1), 0.01, 0.2) == 0
    assert claimed(sure, None, 0.2) == 0
    assert claimed(sure, 0.01, -0.2) == 0


def test_chance_counts_every_patient_and_pair_of_seeds_and_half_the_ties():
    a, b = np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([[1.0, 0.0], [5.0, 9.0]])
    # First patient: 1=1, 1>0, 2>1, 2>0; second: 5=5, 5<9, 5=5, 5<9.
    assert chance(a, b) == (0.5 + 3 + 0.5 + 0.5) / 8
    assert chance(a, b) + chance(b, a) == 1


@given(arrays(float, st.integers(1, 8), elements=st.integers(-3, 3).map(float)))
def test_ranks_are_those_of_scipy(values):
    assert ranks(values).tolist() == scipy.stats.rankdata(values).tolist()
    assert ranks(values, method="min").tolist() == scipy.stats.rankdata(values, method="min").tolist()


def test_weights_of_draws_add_up_and_are_as_spread_as_drawing_with_replacement():
    weights = draws(np.random.default_rng(0), 10, 20_000)
    assert weights.sum(1) == pytest.approx(np.ones(20_000))
    # Counts are binomial(10, 1/10): mean 1, variance 0.9.
    assert weights.mean() * 10 == pytest.approx(1)
    assert (weights * 10).var() == pytest.approx(0.9, rel=0.02)


def test_few_seeds_spread_as_their_population_would():
    scores = normal(12, 6, 3)
    wide = widened(scores)
    assert wide.mean(1) == pytest.approx(scores.mean(1))
    # The variance by n of the widened seeds is the one by n - 1 of the seeds.
    assert wide.var(1) == pytest.approx(scores.var(1, ddof=1))
    assert (widened(scores[:, :1]) == scores[:, :1]).all()
    many = normal(13, 6, 10)
    assert (widened(many) == many).all()


def test_the_bootstrap_spreads_as_the_formula_says():
    scores = normal(14, 40, 5, sd=0.02) + normal(15, 40, 1, sd=0.05) + normal(16, 1, 5, sd=0.02)
    drawn = bootstrap([scores], 0)[:, 0]
    assert drawn.mean() == pytest.approx(scores.mean(), abs=5e-4)
    # The formula has 1 / (n - 1) for patients where a bootstrap has 1 / n.
    assert drawn.std() == pytest.approx(float(mean(scores).error), rel=0.05)


def test_the_bootstrap_draws_the_same_patients_for_all_methods_and_seeds_for_each():
    patients = normal(17, 30, 1)
    together = bootstrap([patients, patients + 0.1], 0)
    assert together[:, 1] - together[:, 0] == pytest.approx(np.full(len(together), 0.1))
    seeds = np.tile(normal(18, 1, 4), (30, 1))
    apart = bootstrap([seeds, seeds], 0)
    assert np.corrcoef(apart.T)[0, 1] == pytest.approx(0, abs=0.05)


def test_the_bootstrap_repeats_itself():
    scores = [normal(19, 20, 3), normal(20, 20, 2)]
    assert (bootstrap(scores, 7) == bootstrap(scores, 7)).all()
    assert (bootstrap(scores, 7) != bootstrap(scores, 8)).any()


def test_eight_methods_take_about_a_second():
    scores = [normal(m, 100, 5) for m in range(8)]
    started = time.perf_counter()
    ranking(np.array([one.mean() for one in scores]), bootstrap(scores, 0))
    assert time.perf_counter() - started < 3


def test_an_interval_of_resamples_leaves_a_fortieth_out_on_either_side():
    low, high = percentiles(np.stack([np.arange(1.0, 1001), np.arange(1000.0, 0, -1)], axis=1))
    assert (low.tolist(), high.tolist()) == ([25.0, 25.0], [975.0, 975.0])


def test_ranking_of_methods_far_apart_is_certain():
    scores = [normal(21, 20, 3, sd=0.01) + level for level in (0.5, 0.9, 0.7)]
    found = ranking(np.array([one.mean() for one in scores]), bootstrap(scores, 0))
    assert (found.rank, found.low, found.high) == ([3, 1, 2], [3, 1, 2], [3, 1, 2])
    assert found.first == [0.0, 1.0, 0.0]
    assert found.stability == 1.0


def test_equal_means_share_the_best_rank():
    same = normal(22, 10, 1)
    found = ranking(np.array([same.mean(), same.mean(), same.mean() - 1]), bootstrap([same, same, same - 1], 0))
    assert (found.rank, found.low, found.high, found.first) == ([1, 1, 3], [1, 1, 3], [1, 1, 3], [1.0, 1.0, 0.0])
    flat = ranking(np.array([same.mean(), same.mean()]), bootstrap([same, same], 0))
    assert flat.stability is None


def test_stability_is_the_mean_tau_to_the_full_ranking():
    scores = [np.round(normal(m, 6, 1) + 0.2 * m, 0) for m in range(5)]
    means, drawn = np.array([one.mean() for one in scores]), bootstrap(scores, 0, 200)
    assert len(set(means)) < 5 or any(len(set(line)) < 5 for line in drawn.round(12).tolist())
    expected = [scipy.stats.kendalltau(means.round(12), line).statistic for line in drawn.round(12)]
    assert ranking(means, drawn).stability == pytest.approx(np.mean(np.nan_to_num(expected)))
