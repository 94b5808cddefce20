"""Two sets of records side by side: which rows are matched, chosen and told, and how the page shows them."""

import msgspec
import pytest
from compared import DICE, HD95, LIMITS, NSD, PATIENTS

from leaderboards.change import failed, page
from leaderboards.compare import chosen, compare


def test_a_row_that_is_gone_fails_and_a_further_one_is_told(run):
    base, new = run([0.7] * PATIENTS), run([0.7] * PATIENTS, method="gce")
    gone, more = compare([base], [new], LIMITS)[0]
    assert (gone.verdict, gone.why) == ("missing", "not in NEW")
    assert (more.verdict, more.method) == ("extra", "gce")
    assert failed([gone, more]) == [gone]


def test_a_row_on_other_data_beside_the_one_that_was_compared_is_told(run):
    base, other = run([0.7] * PATIENTS), run([0.1] * PATIENTS, digests={"dataset": "ef" * 32})
    (more,) = [one for one in compare([base], [base, other], LIMITS)[0] if one.verdict == "extra"]
    assert more.why == f"in BASE with other data: dataset content {'ab' * 12} / {'ef' * 12}"


def test_another_recipe_is_another_row_and_the_key_is_named(run):
    base, new = run([0.7] * PATIENTS), run([0.7] * PATIENTS, recipe={"seed": 0, "train": {"steps": 200}})
    assert (
        compare([base], [new], LIMITS)[0][0].why
        == "not in NEW, which has it with another recipe: train.steps 100 / 200"
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"digests": {"dataset": "ef" * 32}}, f"dataset content {'ab' * 12} / {'ef' * 12}"),
        ({"digests": {"split": "other"}}, f"split {'cd' * 12} / other"),
        ({"definitions": {"protocol": "semi10:v2", "record": "1"}}, "protocol version semi10:v1 / semi10:v2"),
    ],
)
def test_rows_of_other_data_or_definitions_are_not_compared_and_fail(run, fields, why):
    changes = compare([run([0.7] * PATIENTS)], [run([0.9] * PATIENTS, **fields)], LIMITS)[0]
    assert [(one.verdict, one.why) for one in changes] == [("not compared", why)]
    assert failed(changes) == changes


def test_another_version_of_a_metric_is_not_compared(run):
    base = run([0.7] * PATIENTS)
    cases = tuple(msgspec.structs.replace(score, metrics={"dice:v2": 0.7, NSD: 0.7, HD95: 3.0}) for score in base.cases)
    changes = compare([base], [msgspec.structs.replace(base, cases=cases)], LIMITS)[0]
    assert [(one.verdict, one.why) for one in changes] == [("not compared", f"dice {DICE} / dice:v2")]


def test_a_patient_left_out_is_not_compared(run):
    changes = compare([run([0.7] * PATIENTS)], [run([0.7] * (PATIENTS - 1))], LIMITS)[0]
    assert [(one.verdict, one.why) for one in changes] == [("not compared", "other cases or labels are scored")]


def test_speed_is_compared_on_one_machine_only(run):
    base = run([0.7] * PATIENTS)
    slow = msgspec.structs.replace(base.train, items_per_s=40.0)
    here = compare([base], [msgspec.structs.replace(base, train=slow)], LIMITS)[0][-1]
    assert (here.gate, here.verdict) == ("speed", "slower")
    assert "1.25 times slower" in here.why
    assert "no proof" in here.why
    there = compare([base], [msgspec.structs.replace(base, train=slow, machine={"cpu": "Other"})], LIMITS)[0]
    assert all(one.gate != "speed" for one in there)


def test_a_speed_that_nobody_measured_is_no_speed(run):
    base = run([0.7] * PATIENTS)
    still = msgspec.structs.replace(base, train=msgspec.structs.replace(base.train, items_per_s=0.0))
    for before, after in ((base, still), (still, base)):
        assert not [one for one in compare([before], [after], LIMITS)[0] if one.gate == "speed"]


def test_records_are_chosen_by_field_or_recipe_key(run):
    full, semi = run([0.7], protocol="full"), run([0.7], protocol="semi10", recipe={"train": {"steps": 200}})
    assert chosen([full, semi], [("protocol", frozenset({"full", "noisy50"}))]) == [full]
    assert chosen([full, semi], [("train.steps", frozenset({"200"}))]) == [semi]
    assert chosen([full, semi], [("train.stps", frozenset({"200"}))]) == []


def test_a_page_shows_names_as_text_whatever_they_are(run):
    base = run([0.7] * PATIENTS, method="<script>|\n`x`")
    text = page(compare([base], [], LIMITS)[0], ["<b>"], "failed")
    assert "<script>" not in text
    assert "<b>" not in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3
