"""The page of speeds says what was measured, and nothing else; limits bite."""

import pytest
from limits import Limit
from race import Results, grouped, verdicts
from report import PAGE, render
from rotation import Turns

from converters.files import read_json


def entry(name, seconds, **more):
    return {"group": "walks", "items": 4, "unit": "steps", "name": name, "does": "walks", "median_s": seconds, **more}


def found(limit, ours, peer, **more):
    (group,) = grouped([entry("peer", peer, **more), entry("ours", ours, peak_mib=100.0)], {"walks": {"peer": limit}})
    assert group.contenders[0].name == "ours"
    return [verdict.met for verdict in verdicts(group)]


@pytest.mark.parametrize(("ours", "met"), [(0.5, True), (0.51, False)])
def test_twice_as_fast_is_no_less(ours, met):
    assert found(Limit(time=2), ours, 1.0) == [met]


def test_what_is_an_extra_must_stay_below_its_limit():
    assert found(Limit(extra=0.03), 1.0, 0.029) == [True]
    assert found(Limit(extra=0.03), 1.0, 0.031) == [False]


def test_memory_is_a_claim_of_its_own():
    assert found(Limit(time=2, memory=1 / 0.6), 1.0, 3.0, peak_mib=160.0) == [True, False]


def test_a_peer_that_did_not_run_is_named_with_the_reason_and_meets_nothing():
    groups = grouped(
        [entry("ours", 1.0), entry("peer", None, absent="needs more")], {"walks": {"peer": Limit(2), "third": Limit(2)}}
    )
    assert [verdict.met for verdict in verdicts(groups[0])] == [None, None]
    page = render(Results(command="c", machine={"cores": "2"}, versions={}, seconds={}, groups=groups))
    assert "did not run: needs more" in page and "did not run: not entered" in page
    assert "0 met, 0 missed, 2 not measured" in page


def test_a_rate_counts_what_the_contender_itself_went_through():
    groups = grouped([entry("few", 2.0), entry("many", 2.0) | {"items": 40}], {})
    page = render(Results(command="c", machine={"cores": "2"}, versions={}, seconds={}, groups=groups))
    assert "| few | 2 s | one round | 2 |" in page and "| many | 2 s | one round | 20 |" in page


def test_the_committed_page_is_made_of_the_committed_results():
    if not PAGE.is_file():
        pytest.skip("`make speed` has not been run")
    assert PAGE.with_suffix(".md").read_text(encoding="utf-8") == render(read_json(PAGE, Results))


def test_contenders_take_turns_and_one_that_cannot_run_says_why(monkeypatch):
    now, order = [0.0], []
    monkeypatch.setattr("rotation.time.perf_counter", lambda: now[0])

    def taking(name, seconds):
        def turn():
            order.append(name)
            now[0] += seconds
            return name

        return lambda: turn

    def absent():
        pytest.skip("not installed")

    turns = Turns({"slow": taking("slow", 2.0), "none": absent, "fast": taking("fast", 0.5)}, rounds=2, warmup=1)
    assert order == ["slow", "fast"] * 3
    assert turns.seconds == {"slow": [2.0, 2.0], "fast": [0.5, 0.5]}
    assert turns.absent == {"none": "not installed"} and turns.given == {"slow": "slow", "fast": "fast"}
