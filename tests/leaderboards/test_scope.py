"""What a table is about, when its records do not agree on it: nobody gains by cases left out, added or divided."""

import msgspec
import pytest

from leaderboards.table import groups, rows


@pytest.fixture
def honest(make, score):
    """Five seeds on two patients, each with two images."""
    cases = tuple(score(case) for case in ("p1-ed", "p1-es", "p2-ed", "p2-es"))
    return [make(cases, seed=seed) for seed in range(5)]


def methods(records, verified):
    made, problems = rows(records, verified)
    return [row.method for row in made], problems


def test_a_case_more_does_not_drive_out_the_others(honest, make, score):
    stranger = make((*honest[0].cases, score("p3")), method="gce")
    kept, problems = methods([*honest, stranger], {})
    assert kept == ["supervised"]
    assert len(problems) == 1 and "gce" in problems[0] and "1 scores that its table has not; left out" in problems[0]


def test_images_of_one_patient_are_not_two_patients(honest, make):
    parts = tuple(msgspec.structs.replace(score, subject=score.case) for score in honest[0].cases)
    records = [*honest, *(make(parts, method="gce", seed=seed) for seed in range(5))]
    kept, problems = methods(records, {})
    assert kept == ["supervised"]
    assert all("its cases are of other subjects than those of its table" in problem for problem in problems)


def test_who_was_verified_is_believed_whatever_others_say(honest, make, score):
    crowd = [make((score("p1-ed"),), method="gce", seed=seed) for seed in range(9)]
    assert methods([*honest, *crowd], {})[0] == ["gce"]
    assert methods([*honest, *crowd], {honest[0].id(): 1})[0] == ["supervised"]


@pytest.mark.parametrize("trusted", [0, 1])
def test_of_two_records_of_one_run_the_verified_one_counts(make, score, trusted):
    records = [make((score(tp=8),)), make((score(tp=7),))]
    (group,), problems = groups(records, {records[trusted].id(): 1})
    assert group.records == (records[trusted],)
    assert records[1 - trusted].id()[:12] in problems[0].partition(":")[0]
