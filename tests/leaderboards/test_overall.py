"""One ranking over datasets and metrics, and who is left out of it."""

from leaderboards.overall import overall
from leaderboards.table import groups


def test_overall_is_the_mean_rank_over_datasets_and_both_metrics(runs):
    records = [
        *runs("a", 0.9), *runs("b", 0.8), *runs("c", 0.7),
        *runs("a", 0.7, dataset="chaos-ct"), *runs("b", 0.8, dataset="chaos-ct"), *runs("c", 0.6, dataset="chaos-ct"),
    ]  # fmt: skip
    made, problems = overall(groups(records)[0])
    assert problems == []
    # NSD is the same for all: three first ranks there, in both datasets.
    assert [(row.method, row.rank, row.place) for row in made] == [("a", 1.25, 1), ("b", 1.25, 1), ("c", 2.0, 3)]
    assert made[0].ranks == {
        "acdc semi10 dense dice": 1, "acdc semi10 dense nsd@2mm": 1,
        "chaos-ct semi10 dense dice": 2, "chaos-ct semi10 dense nsd@2mm": 1,
    }  # fmt: skip
    assert all(row.low <= row.rank <= row.high for row in made)
    assert (made[0].first, made[1].first, made[2].first) == (1.0, 1.0, 0.0)


def test_overall_leaves_out_who_is_not_everywhere_and_says_so(runs):
    records = [*runs("a", 0.9), *runs("b", 0.8), *runs("guest", 0.99)]
    records += [*runs("a", 0.9, dataset="chaos-ct"), *runs("b", 0.8, dataset="chaos-ct")]
    made, problems = overall(groups(records)[0])
    assert [row.method for row in made] == ["a", "b"]
    assert made[0].ranks["acdc semi10 dense dice"] == 1  # among those that are left
    assert len(problems) == 1
    assert problems[0].startswith("guest: not in chaos-ct semi10 dense dice, chaos-ct semi10 dense nsd@2mm; left out")


def test_overall_of_nothing_in_common_is_empty(runs):
    made, problems = overall(groups([*runs("a", 0.9), *runs("b", 0.8, dataset="chaos-ct")])[0])
    assert made == [] and len(problems) == 2
    assert overall([]) == ([], [])


def test_overall_says_that_one_patient_is_no_ground(runs):
    made, problems = overall(groups([*runs("a", 0.9, patients=1), *runs("b", 0.8, patients=1)])[0])
    assert made == []
    assert "one patient is no ground" in problems[0]
