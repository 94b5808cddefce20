"""docs/presets.md says what the records of its comparison say, on patients that no leaderboard is scored on."""

import pytest

from converters.errors import BenchError
from docsite.tuning import PAGE, RECORDS, fill
from leaderboards.collect import load

FILES = sorted((RECORDS / "quick").glob("*.json"))
BLOCK = "above\n<!-- tuning:quick -->\nold\n<!-- /tuning -->\nbelow\n"


def test_the_page_is_the_one_that_the_records_give():
    text = PAGE.read_text(encoding="utf-8")
    assert "<!-- tuning:quick -->" in text
    assert fill(text, RECORDS / "quick") == text, "make presets"


def test_every_record_is_a_row_and_what_stands_around_the_block_stays():
    made = fill(BLOCK, RECORDS / "quick")
    assert made.startswith("above\n<!--") and made.endswith("<!-- /tuning -->\nbelow\n")
    assert "old" not in made
    assert made.count("\n| ") == 2 + len(FILES)


def test_nobody_was_scored_who_is_a_test_patient_of_the_leaderboard():
    tested = {score.subject for record in load([RECORDS.parent / "results" / "acdc"]).records for score in record.cases}
    tuned = {score.subject for record in load(FILES).records for score in record.cases}
    assert len(tested) == 20 and len(tuned) == 10
    assert not tested & tuned


def test_a_folder_without_records_is_refused(tmp_path):
    with pytest.raises(BenchError, match="no record"):
        fill(BLOCK, tmp_path)
