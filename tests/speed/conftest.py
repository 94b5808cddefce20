"""How contenders are entered, how their limits fail a session, and how its results are kept.

`pytest tests/speed --benchmark-only --speed-json docs/speed.json` also writes the page beside that file.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
from limits import LIMITS
from race import Results, grouped, verdicts
from report import versions, write_page

from converters.files import write_json
from leaderboards.facts import code_facts, machine_facts

ENTRIES = pytest.StashKey[list[dict]]()
ENTERED = pytest.StashKey[dict]()
SECONDS = pytest.StashKey[Counter]()
START = pytest.StashKey[dict[str, str]]()


def pytest_addoption(parser):
    parser.addoption("--speed-json", type=Path, help="keep the results of tests/speed here, and their page beside it")


def pytest_configure(config):
    config.stash[ENTRIES], config.stash[SECONDS], config.stash[START] = [], Counter(), machine_facts()


def pytest_runtest_setup(item):
    # Before fixtures are made: they may take longer than the suite has.
    if "benchmark" in getattr(item, "fixturenames", ()) and item.config.getoption("benchmark_skip"):
        pytest.skip("timed by `make speed`")


@pytest.fixture
def enter(benchmark, request):
    """`enter(group, contender, does, items, unit)`: to be called before anything of a peer is imported."""

    def name(group, contender, does, items=1, unit="runs"):
        benchmark.group = group
        entry = {"group": group, "name": contender, "does": does, "items": items, "unit": unit}
        request.node.stash[ENTERED] = entry
        request.config.stash[ENTRIES].append(entry)

    yield name
    if benchmark.stats:
        found, told = benchmark.stats.stats, benchmark.extra_info
        request.node.stash[ENTERED] |= {"median_s": found.median, "iqr_s": found.iqr, "rounds": found.rounds}
        request.node.stash[ENTERED] |= {key: told[key] for key in ("peak_mib", "note") if key in told}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if item.path.parent == Path(__file__).parent:
        item.config.stash[SECONDS][item.path.name] += report.duration
        if report.skipped and ENTERED in item.stash:
            item.stash[ENTERED]["absent"] = report.longrepr[2].removeprefix("Skipped: ")
    return report


def _groups(config):
    return grouped(config.stash[ENTRIES], LIMITS)


def pytest_sessionfinish(session, exitstatus):
    config = session.config
    groups = _groups(config) if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else ()
    missed = [verdict for group in groups for verdict in verdicts(group) if verdict.met is False]
    if missed and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if groups and (path := config.getoption("speed_json", None)):
        commit = code_facts()
        results = Results(
            command=os.environ.get("SPEED_COMMAND", "make speed"),
            machine=config.stash[START],
            versions={key: commit[key] for key in ("frugalseg", "commit", "dirty") if key in commit} | versions(),
            seconds={name: round(taken) for name, taken in config.stash[SECONDS].items() if taken >= 1},
            groups=groups,
        )
        write_json(path, results)
        write_page(path)


def pytest_terminal_summary(terminalreporter, config):
    groups = _groups(config)
    words = {True: "met", False: "MISSED", None: "not measured"}
    claims = [verdict for group in groups for verdict in verdicts(group)]
    if claims:
        terminalreporter.section("limits")
    for one in claims:
        found = "" if one.found is None else f" (found {one.found:.3g})"
        terminalreporter.write_line(f"{words[one.met]:12} {one.group}: {one.contender} takes {one.claim}{found}")
    for group in groups:
        for one in group.contenders:
            if one.absent:
                terminalreporter.write_line(f"absent       {group.name}: {one.name}: {one.absent}")
