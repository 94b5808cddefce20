"""The table of faults is whole, and the page says what the tests say."""

from fault_table import CANNOT, PAGE, ROWS, WANTED, page, proofs, unproved


def test_every_fault_has_a_test_or_a_reason() -> None:
    assert unproved() == []


def test_no_fault_has_a_reason_that_a_test_contradicts() -> None:
    assert not CANNOT.keys() & {row for row, _ in proofs()}


def test_marks_name_rows_of_the_table() -> None:
    assert {row for row, _ in proofs()} <= ROWS.keys()
    assert tuple(ROWS) == WANTED


def test_the_page_is_what_the_marks_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/faults/fault_table.py"
