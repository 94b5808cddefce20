"""docs/methods.md says what the classes say."""

from pathlib import Path

import pytest

from baselines import method as contract
from bench import zoo

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


@pytest.fixture(scope="module")
def page():
    return zoo.page()


def test_the_page_is_the_one_that_the_classes_give(page):
    assert PAGE.read_text(encoding="utf-8") == page, "make methods"


def test_every_method_has_a_line_and_a_section(page):
    for name in contract.names():
        assert page.count(f"| [{name}](#{name}) |") == 1
        assert page.count(f"\n## {name}\n") == 1


def test_what_a_training_holds_is_counted():
    rows = {row.name: row for row in zoo.rows()}
    plain = rows["supervised"].learning
    assert plain == 1_813_764
    assert (rows["cps"].learning, rows["cps"].beside) == (2 * plain, "1 network")
    assert (rows["mean_teacher"].learning, rows["mean_teacher"].beside) == (plain, "1 teacher")
    assert rows["cct"].beside == "3 decoders"
    assert rows["urpc"].beside == "3 heads"
    assert rows["cross_teaching"].cells[3] == "2D"
    assert zoo.rows()[0].name == "supervised"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mean_k p_u^2 of `_x * y`", "mean_k p_u^2 of `_x * y`"),
        ("a * b, a*b, sum_(k)", r"a * b, a\*b, sum\_(k)"),
        ("so\n- 1 of\n1. them", "so\n\\- 1 of\n1\\. them"),
        ("U < v, U <v, [a](b)", r"U < v, U \<v, [a]\(b)"),
    ],
)
def test_a_docstring_is_shown_as_it_stands(text, shown):
    assert zoo.escaped(text) == shown
