"""Pages of a leaderboard: made of records alone, written whole, and found out when they lag behind."""

import shutil

import pytest

from converters.errors import BenchError
from converters.files import write_json
from leaderboards import pages
from leaderboards.planned import Run, Sweep
from leaderboards.readme import fill
from leaderboards.record import Budget
from leaderboards.table import rows

README = "Intro\n<!-- table:acdc -->\nold\n<!-- /table -->\nEnd\n"


@pytest.fixture
def folder(tmp_path, make):
    """A leaderboard of one dataset with two methods, and a README beside it."""
    results = tmp_path / "leaderboards" / "results" / "acdc"
    make().save(results / "one.json")
    make(method="gce").save(results / "two.json")
    (tmp_path / "README.md").write_text(README)
    return tmp_path / "leaderboards"


def written(folder):
    made, problems = pages.build(folder)
    assert problems == []
    pages.write(folder, made)
    return made


def test_every_dataset_has_its_pages_and_the_readme_its_tables(folder):
    made = written(folder)
    names = sorted(path.name for path in made)
    assert names == ["README.md", "acdc.csv", "acdc.json", "acdc.md", "acdc.tex", "gate.md"]
    assert all(path.read_text() == text for path, text in made.items())
    readme = (folder.parent / "README.md").read_text()
    assert readme.startswith("Intro\n<!-- table:acdc -->\n") and readme.endswith("<!-- /table -->\nEnd\n")
    assert "old" not in readme and "gce" in readme


def test_pages_are_a_function_of_the_records(folder, tmp_path):
    made = written(folder)
    assert pages.differences(folder, pages.build(folder)[0]) == []
    before = {path: path.stat().st_mtime_ns for path in made}
    assert pages.write(folder, pages.build(folder)[0]) == []
    assert before == {path: path.stat().st_mtime_ns for path in made}
    elsewhere = tmp_path / "elsewhere" / "leaderboards"
    shutil.copytree(folder / "results", elsewhere / "results")
    texts = {path.name: text for path, text in pages.build(elsewhere)[0].items()}
    assert texts == {path.name: text for path, text in made.items() if path.name != "README.md"}


@pytest.mark.parametrize("name", ["acdc.md", "acdc.tex", "acdc.csv", "acdc.json"])
def test_an_edited_page_is_found_with_the_line(folder, name):
    written(folder)
    page = folder / "pages" / name
    page.write_text(page.read_text().replace("0.8", "0.9"))
    [difference] = pages.differences(folder, pages.build(folder)[0])
    assert name in difference and "\n-" in difference and "0.9" in difference


def test_other_line_ends_are_a_difference(folder):
    written(folder)
    page = folder / "pages" / "acdc.md"
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    assert len(pages.differences(folder, pages.build(folder)[0])) == 1


def test_a_page_that_is_missing_or_that_nobody_makes_is_found_and_mended(folder):
    written(folder)
    (folder / "pages" / "acdc.tex").unlink()
    (folder / "pages" / "gone.md").write_text("a dataset without records")
    (folder / "pages" / "notes.txt").write_text("somebody's own")
    found = pages.differences(folder, pages.build(folder)[0])
    assert len(found) == 2 and "gone.md: no record makes this page" in found[1]
    changed = pages.write(folder, pages.build(folder)[0])
    assert sorted(path.name for path in changed) == ["acdc.tex", "gone.md"]
    assert sorted(path.name for path in (folder / "pages").iterdir()) == [
        "acdc.csv", "acdc.json", "acdc.md", "acdc.tex", "gate.md", "notes.txt",
    ]  # fmt: skip
    assert pages.differences(folder, pages.build(folder)[0]) == []


def test_a_new_record_makes_the_pages_old(folder, make):
    written(folder)
    make(method="third").save(folder / "results" / "acdc" / "three.json")
    found = "\n".join(pages.differences(folder, pages.build(folder)[0]))
    for name in ("acdc.md", "acdc.tex", "acdc.csv", "acdc.json", "README.md"):
        assert name in found


@pytest.fixture
def budgeted(folder, make):
    """The same leaderboard with two budgets of one method."""
    for protocol, minutes in (("semi5", 60.0), ("semi10", 120.0)):
        budget = Budget(labelled_subjects=1, labelled_cases=1, annotated_voxels=1, annotated_slices=1, minutes=minutes)
        make(method="cps", protocol=protocol, budget=budget).save(folder / "results" / "acdc" / f"{protocol}.json")
    return folder


def test_what_labels_are_worth_is_drawn_on_a_page_with_two_budgets(budgeted):
    written(budgeted)
    figure, page = (budgeted / "pages" / f"acdc{ending}" for ending in ("-budget.svg", ".md"))
    assert "cps, subjects: dense, 1 h: 0.800; cps, subjects: dense, 2 h: 0.800" in figure.read_text()
    assert "(acdc-budget.svg)" in page.read_text()
    assert pages.differences(budgeted, pages.build(budgeted)[0]) == []


def test_a_figure_is_old_when_it_says_other_numbers_and_not_when_other_lines_are_drawn(budgeted):
    made = written(budgeted)
    figure = budgeted / "pages" / "acdc-budget.svg"
    figure.write_text(figure.read_text().replace("<path ", "<path class='other' "))
    assert pages.differences(budgeted, made) == [] and pages.write(budgeted, made) == []
    figure.write_text(figure.read_text().replace("2 h: 0.800", "2 h: 0.900"))
    (told,) = pages.differences(budgeted, made)
    assert "acdc-budget.svg" in told and "0.900" in told
    assert pages.write(budgeted, made) == [figure] and "0.900" not in figure.read_text()


@pytest.fixture
def promised(folder, make):
    """The same leaderboard beside two sweeps: a run that has a record, one that both name, one of other data."""
    done = make(method="cps", digests={"dataset": "ab" * 32, "split": "cd" * 32, "recipe": "d0" * 32})
    done.save(folder / "results" / "acdc" / "done.json")
    runs = [
        Run(dataset="acdc", protocol="semi10", method="cps", seed=0, recipe="d0" * 32),
        Run(dataset="acdc", protocol="semi10", method="dast", seed=3, recipe="d1" * 32),
        Run(dataset="acdc", protocol="semi5", method="mae", seed=0, recipe="d2" * 32, network="fcn"),
        Run(dataset="chaos", protocol="full", method="ict", seed=0, recipe="d3" * 32),
    ]
    for name in ("one", "two"):
        write_json(folder / "planned" / f"{name}.json", Sweep(command=f"bench sweep {name}.toml", runs=tuple(runs)))
    return folder


def test_a_run_that_is_planned_is_a_row_not_run_until_it_has_a_record(promised, make):
    written(promised)
    table = (promised / "pages" / "acdc.md").read_text().partition("planned, and not run yet")[2]
    assert [line for line in table.splitlines() if "|" in line][2:] == [
        "| **semi5** |  |  |  |",
        "| mae (fcn) | not run | 0 | bench sweep one.toml |",
        "| **semi10** |  |  |  |",
        "| dast | not run | 3 | bench sweep one.toml |",
    ]
    for recipe in ("d1", "d2"):
        digests = {"dataset": "ab" * 32, "split": "cd" * 32, "recipe": recipe * 32}
        make(method=recipe, digests=digests).save(promised / "results" / "acdc" / f"{recipe}.json")
    written(promised)
    assert "not run" not in (promised / "pages" / "acdc.md").read_text()


def test_a_plan_that_is_none_is_named(promised):
    (promised / "planned" / "one.json").write_text("{}")
    with pytest.raises(BenchError, match=r"one\.json"):
        pages.build(promised)


def test_a_readme_without_blocks_is_left_alone(folder):
    (folder.parent / "README.md").write_text("no table\n")
    assert "README.md" not in {path.name for path in written(folder)}


@pytest.mark.parametrize("name", ["../acdc", "ACDC", "a/b", "con", "gate"])
def test_a_dataset_that_cannot_name_a_file_is_refused_and_nothing_is_written(folder, make, name):
    make(dataset=name).save(folder / "results" / "odd.json")
    with pytest.raises(BenchError):
        pages.build(folder)
    assert not (folder / "pages").exists()


def test_records_that_are_left_out_are_named(folder, make):
    (folder / "results" / "acdc" / "broken.json").write_text("{")
    assert "broken.json" in pages.build(folder)[1][0]


def test_a_readme_block_is_made_anew_and_the_rest_is_kept(make):
    made, _ = rows([make()])
    filled = fill(README, made)
    assert fill(filled, made) == filled


def test_a_block_without_records_or_a_text_without_blocks_is_an_error(make):
    with pytest.raises(BenchError, match="no record for the table 'acdc'"):
        fill(README, rows([make(dataset="chaos-ct")])[0])
    with pytest.raises(BenchError, match="no block"):
        fill("text", rows([make()])[0])


def test_a_block_may_hold_one_protocol_and_leave_speeds_to_the_page(make):
    made, _ = rows([make(), make(method="gce"), make(protocol="full")])
    text = "<!-- table:acdc/semi* brief -->\n<!-- /table -->\n"
    brief, whole = fill(text, made), fill(text.replace(" brief", ""), made)
    assert "**semi10" in brief and "**full" not in brief
    assert "HD95 mm" in brief and "definitions" in brief
    for word in ("train samples /s", "s/case", "peak MiB"):
        assert word in whole and word not in brief
    assert fill(brief, made) == brief
    both = fill(text.replace("semi*", "full,semi10"), made)
    assert "**semi10" in both and "**full" in both
    with pytest.raises(BenchError, match=r"(?s)'acdc/noisy50'.*full, semi10"):
        fill("<!-- table:acdc/noisy50 -->\n<!-- /table -->", made)


def test_a_block_leaves_out_rows_by_what_sets_them_apart(make):
    short, long = (make(recipe={"preset": "cpu", "train": {"steps": steps}}) for steps in (500, 1500))
    made, _ = rows([short, long])
    text = "<!-- table:acdc brief without:*steps=500 -->\n<!-- /table -->\n"
    block = fill(text, made)
    assert "train.steps=1500" in block and "train.steps=500)" not in block
    assert fill(block, made) == block
    with pytest.raises(BenchError, match=r"(?s)'\*steps=7' leaves out no row.*train.steps=1500, train.steps=500"):
        fill(text.replace("500", "7"), made)
    with pytest.raises(BenchError, match="a table has no row"):
        fill(text.replace("500", "500,*"), made)
