"""Ejection fractions and volumes from ED and ES: the numbers, and what a missing one counts for."""

import csv
import io
import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards.clinical import agreement, measure, tables
from leaderboards.export import csv_text, json_text
from leaderboards.table import rows


@pytest.fixture
def heart(score):
    """Scores of one patient: `heart("p1", (100, 40), (90, 45))` with ED and ES volumes of reference and prediction."""

    def scores(subject, reference, prediction, label="LV", status="ok"):
        return tuple(
            msgspec.structs.replace(
                score(f"{subject}-{phase}", label),
                group=phase.upper(),
                status=status,
                metrics={
                    **score().metrics,
                    "volume_reference_ml:v1": float(reference[i]),
                    "volume_prediction_ml:v1": float(prediction[i]),
                },
            )
            for i, phase in enumerate(("ed", "es"))
        )

    return scores


def test_the_ejection_fraction_is_what_leaves_the_heart_in_percent(make, heart):
    cases = (*heart("p1", (100, 40), (100, 50)), *heart("p2", (200, 100), (160, 40)))
    found = agreement([make(cases)])["LV"]
    fraction = found["EF"]  # references 60 and 50 %, predictions 50 and 75 %
    assert (fraction.n, fraction.lost, fraction.unreferenced, fraction.unit) == (2, 0, 0, "%")
    assert (fraction.bias, fraction.mae) == pytest.approx((7.5, 17.5))
    assert fraction.sd == pytest.approx(np.std([-10, 25], ddof=1))
    assert (fraction.low, fraction.high) == pytest.approx((7.5 - 1.96 * fraction.sd, 7.5 + 1.96 * fraction.sd))
    assert fraction.r == pytest.approx(-1)
    assert (found["EDV"].bias, found["ESV"].bias, found["EDV"].unit) == (-20.0, -25.0, "mL")


VOLUME = st.tuples(st.floats(50, 300), st.floats(1, 50))


@given(st.lists(st.tuples(VOLUME, VOLUME), min_size=3, max_size=12))
def test_the_summary_is_that_of_numpy(make, score, hearts):
    cases = []
    for i, volumes in enumerate(hearts):
        for phase in (0, 1):
            told = {"volume_reference_ml:v1": volumes[0][phase], "volume_prediction_ml:v1": volumes[1][phase]}
            one = score(f"p{i}-{phase}", "RV")
            cases.append(msgspec.structs.replace(one, group=("ED", "ES")[phase], metrics=one.metrics | told))
    found = agreement([make(tuple(cases))])["RV"]["EF"]
    volumes = np.array(hearts)
    fractions = 100 * (volumes[..., 0] - volumes[..., 1]) / volumes[..., 0]
    errors = fractions[:, 1] - fractions[:, 0]
    assert (found.bias, found.sd, found.mae) == pytest.approx(
        (errors.mean(), errors.std(ddof=1), abs(errors).mean()), rel=1e-9, abs=1e-9
    )
    if min(fractions.std(axis=0)) > 1e-6:
        assert found.r == pytest.approx(np.corrcoef(fractions.T)[0, 1], rel=1e-6, abs=1e-6)


def test_a_prediction_without_an_ejection_fraction_counts_a_hundred_points(make, heart):
    cases = (*heart("p1", (100, 40), (100, 44)), *heart("p2", (100, 40), (0, 10)))
    fraction = agreement([make(cases)])["LV"]["EF"]
    assert (fraction.n, fraction.lost) == (1, 1)
    assert fraction.bias == pytest.approx(-4) and fraction.sd is None and fraction.r is None
    assert fraction.mae == pytest.approx((4 + 100) / 2)


def test_an_unusable_prediction_has_lost_the_volume_and_the_fraction(make, heart):
    found = agreement([make(heart("p1", (100, 40), (0, 0), status="invalid"))])["LV"]
    assert (found["EF"].n, found["EF"].lost, found["EF"].bias, found["EF"].mae) == (0, 1, None, 100.0)
    assert (found["EDV"].n, found["EDV"].bias, found["EDV"].mae) == (1, -100.0, 100.0)


def test_a_cavity_missed_at_systole_is_one_that_empties(make, heart):
    assert agreement([make(heart("p1", (100, 40), (100, 0)))])["LV"]["EF"].bias == pytest.approx(40)


def test_leaving_a_patient_out_never_lowers_the_error(make, heart):
    # An EF of -900 %: further off than any that is missing.
    wild = agreement([make(heart("p1", (100, 40), (10, 100)))])["LV"]["EF"]
    assert wild.bias == pytest.approx(-960) and wild.mae == 100.0


def test_without_a_reference_a_patient_is_left_out_and_counted(make, heart):
    cases = (*heart("p1", (100, 40), (90, 40)), *heart("p2", (0, 0), (5, 0)), heart("p3", (100, 40), (90, 40))[0])
    fraction = agreement([make(cases)])["LV"]["EF"]
    assert (fraction.n, fraction.lost, fraction.unreferenced) == (1, 0, 2)


def test_constant_volumes_have_no_correlation(make, heart):
    cases = (*heart("p1", (100, 40), (90, 45)), *heart("p2", (100, 40), (80, 40)))
    assert agreement([make(cases)])["LV"]["EDV"].r is None


def test_repeats_are_measured_one_by_one(make, heart):
    records = [make(heart("p1", (100, 40), (100, es)), seed=es) for es in (30, 50)]
    fraction = agreement(records)["LV"]["EF"]
    assert (fraction.n, fraction.bias, fraction.mae) == pytest.approx((2, 0, 10))
    assert fraction.sd == pytest.approx(np.std([10, -10], ddof=1))


def test_there_is_no_fraction_where_there_is_no_ed_and_es(make, heart, score):
    assert agreement([make((score(label="LV"),))]) == {}
    assert agreement([make(heart("p1", (100, 40), (100, 40), label="MYO"))]) == {}
    silent = tuple(msgspec.structs.replace(one, metrics=score().metrics) for one in heart("p1", (100, 40), (90, 45)))
    assert agreement([make(silent)]) == {}
    records = [make()]
    assert measure(rows(records)[0], records) == {}


def test_the_table_stands_in_the_blocks_of_the_scores_and_csv_and_json_hold_it(make, heart):
    cases = (*heart("p1", (100, 40), (100, 50)), *heart("p2", (200, 100), (160, 40)))
    records = [make(cases), make(cases, protocol="full")]
    made, _ = rows(records)
    measured = measure(made, records)
    [table] = tables(made, measured)
    assert [block.title for block in table.blocks] == ["full · labels seen: dense", "semi10:v1 · labels seen: dense"]
    found = dict(zip(table.columns, (cell.text for cell in table.rows[0]), strict=True))
    assert (found["cavity"], found["EF bias, points"], found["EF MAE"], found["EF lost"]) == (
        "LV",
        "+7.5",
        "17.5",
        "0 of 2",
    )
    assert found["95 % limits"] == "[-41.0, 56.0]"
    lines = {line["label"]: line for line in csv.DictReader(io.StringIO(csv_text(made, measured)))}
    assert float(lines["LV"]["EF bias"]) == 7.5 and lines["(mean over labels)"]["EF bias"] == ""
    assert json.loads(json_text(made, measured).splitlines()[0])["clinical"]["LV"]["EF"]["n"] == 2
