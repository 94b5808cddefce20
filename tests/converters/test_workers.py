import os
import signal

import pytest

from converters.errors import BenchError, EnvironmentFault
from converters.workers import alone, each


def square(number: int) -> int:
    """Three ways to fail, by number."""
    if number == 3:
        raise BenchError("three is not liked", where="here", mend="take four")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 6:
        raise ZeroDivisionError("six")
    return number * number


def process_of(_: object) -> int:
    """That it runs in."""
    return os.getpid()


@pytest.mark.fault(68)
@pytest.mark.parametrize("jobs", [2, 30])
def test_every_item_gets_its_own_result_or_its_own_error(jobs: int) -> None:
    results = dict(each(square, range(20), jobs))
    assert sorted(results) == list(range(20))
    errors = {index: result for index, result in results.items() if isinstance(result, BenchError)}
    assert {index: results[index] for index in results.keys() - errors.keys()} == {
        n: n * n for n in range(20) if n not in (3, 5, 6)
    }
    assert (errors[3].what, errors[3].where, errors[3].mend) == ("three is not liked", "here", "take four")
    assert isinstance(errors[5], EnvironmentFault)
    assert errors[5].what == "its worker process ended by SIGKILL"
    assert errors[6].what.startswith("ZeroDivisionError in test_workers.py:")


def test_one_job_runs_in_this_process() -> None:
    results = dict(each(square, [2, 3, 4], 1))
    assert (results[0], results[2]) == (4, 16)
    assert isinstance(results[1], BenchError)
    assert dict(each(os.getpgid, [0, 0], 1)) == {0: os.getpgid(0), 1: os.getpgid(0)}


def test_leaving_early_ends_the_workers() -> None:
    results = each(square, range(100, 200), 2)
    assert next(results)[1] in {n * n for n in range(100, 103)}
    results.close()
    assert list(results) == []


def test_one_alone_has_a_process_of_its_own_and_its_error_comes_back() -> None:
    assert alone(square, 4) == 16
    assert alone(process_of, 0) != os.getpid()
    with pytest.raises(BenchError, match="three is not liked"):
        alone(square, 3)
    with pytest.raises(EnvironmentFault, match="ended by SIGKILL"):
        alone(square, 5)
