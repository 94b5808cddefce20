"""Verbs around the data, on made-up patients: phantom, convert, check, ls, view, show, doctor, table."""

import json

import pytest
from PIL import Image

from converters.dataset import Dataset
from leaderboards.collect import load


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Six made-up hearts in ACDC's layout."""
    from converters.phantoms.acdc import write

    folder = tmp_path_factory.mktemp("phantom") / "raw"
    write(folder, 6, 0)
    return folder


@pytest.fixture(scope="module")
def data(raw, tmp_path_factory):
    """The same, converted and split."""
    from bench.splits import freeze_default
    from converters.convert import convert

    folder = tmp_path_factory.mktemp("data")
    for report in convert("acdc", raw, folder):
        freeze_default(Dataset.load(report.root))
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_phantom_dry_run_writes_nothing(bench, tmp_path):
    done = bench("phantom", "acdc", tmp_path / "raw", "--cases", 2, "--dry-run", "--json")
    assert done.code == 0
    assert lines(done.out)[0]["cases"] == 2 and lines(done.out)[0]["written"] is False
    assert not (tmp_path / "raw").exists()


def test_phantom_does_not_write_into_a_folder_that_holds_something(bench, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    done = bench("phantom", "acdc", tmp_path)
    assert done.code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_convert_checks_out_and_a_second_time_changes_nothing(bench, raw, tmp_path):
    first = bench("convert", "acdc", raw, tmp_path)
    assert first.code == 0
    assert first.out.startswith("phantom-acdc: 12 cases, 0 of them as they were, 0 failed")
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = bench("convert", "acdc", raw, tmp_path, "--json")
    assert lines(again.out)[0]["unchanged"] == 12
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == stamps
    assert (tmp_path / "phantom-acdc" / "splits" / "default.json").is_file()
    assert bench("check", tmp_path / "phantom-acdc") == (0, "", "")


def test_convert_dry_run_counts_and_writes_nothing(bench, raw, tmp_path):
    done = bench("convert", "acdc", raw, tmp_path / "out", "--dry-run", "--json")
    (told,) = lines(done.out)
    sizes = sum(path.stat().st_size for path in raw.rglob("*.nii.gz"))
    assert sizes < told.pop("bytes") < 1.1 * sizes
    folder = str(tmp_path / "out" / "phantom-acdc")
    assert told == {"cases": 12, "dataset": "phantom-acdc", "folder": folder}
    assert not (tmp_path / "out").exists()


def test_a_damaged_case_is_named_and_the_others_are_converted(bench, raw, tmp_path):
    import shutil

    copy = tmp_path / "raw"
    shutil.copytree(raw, copy)
    victim = sorted(copy.rglob("*_gt.nii.gz"))[0]
    victim.write_bytes(victim.read_bytes()[:-100])
    done = bench("convert", "acdc", copy, tmp_path / "data", "--json")
    assert done.code == 3
    told = lines(done.out)[0]
    assert told["cases"] == 11 and len(told["failures"]) == 1
    assert victim.name in done.err and "--skip" in done.err


def test_skipping_the_damaged_subject_makes_it_whole(bench, raw, tmp_path):
    done = bench("convert", "acdc", raw, tmp_path, "--skip", "patient001", "--json")
    assert done.code == 0
    assert lines(done.out)[0]["cases"] == 10


def test_check_prints_each_problem_and_leaves_with_3(bench, raw, tmp_path):
    bench("convert", "acdc", raw, tmp_path)
    root = tmp_path / "phantom-acdc"
    next((root / "labelsTr").iterdir()).unlink()
    done = bench("check", root)
    assert done.code == 3
    assert done.out.strip()
    assert lines(bench("check", root, "--json").out)[0]["problem"] == done.out.splitlines()[0]


def test_ls_tells_what_is_there_and_what_could_be(bench, data, tmp_path):
    told = lines(bench("ls", "--data", data, "--runs", tmp_path, "--json").out)
    found = {(entry["kind"], entry["name"]) for entry in told}
    assert {("source", "chaos"), ("method", "supervised"), ("protocol", "full"), ("dataset", "chaos-ct")} <= found
    phantom = next(entry for entry in told if entry["name"] == "phantom-acdc")
    assert phantom["facts"]["here"] is True and phantom["facts"]["cases"] == 12
    assert next(entry for entry in told if entry["name"] == "acdc")["facts"]["here"] is False


def test_ls_finds_the_data_folder_in_the_environment(bench, data, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(data))
    assert "12 cases" in bench("ls", "datasets").out


def test_view_shows_what_it_says_and_dry_run_writes_nothing(bench, data, tmp_path):
    out = tmp_path / "view"
    words = ["view", "phantom-acdc", "--protocol", "semi10", "--data", data, "--out", out, "--json"]
    would = lines(bench(*words, "--dry-run").out)[0]
    assert not out.exists() and len(would["labelled_subjects"]) == 1
    told = lines(bench(*words).out)[0]
    seen = Dataset.load(out)
    assert {case.subject for case in seen.cases if case.label} == set(would["labelled_subjects"])
    assert told["budget"]["labelled_subjects"] == 1


def test_show_draws_every_label_map_of_a_case_in_its_colours(bench, data, tmp_path):
    done = bench("show", data / "phantom-acdc", "--out", tmp_path, "--cases", 2, "--slices", 3, "--json")
    assert done.code == 0
    files = sorted(tmp_path.glob("*.png"))
    assert len(files) == len(lines(done.out)) == 2
    colours = Dataset.load(data / "phantom-acdc").file.bench.label_info
    wanted = {tuple(bytes.fromhex(info.colour[1:])) for info in colours.values() if info.colour}
    with Image.open(files[0]) as picture:
        assert wanted <= {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}


def test_show_takes_predictions_with_their_dataset(bench, data, tmp_path):
    root = data / "phantom-acdc"
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    label = sorted((root / "labelsTr").glob("*.nii.gz"))[0]
    (predictions / label.name).write_bytes(label.read_bytes())
    assert bench("show", predictions, "--out", tmp_path / "a").code == 3
    done = bench("show", predictions, "--dataset", "phantom-acdc", "--data", data, "--out", tmp_path / "a")
    assert done.code == 0
    assert [path.stem for path in (tmp_path / "a").iterdir()] == [label.name.removesuffix(".nii.gz")]


def test_doctor_finds_this_machine_fit_and_says_so_in_json(bench, data, tmp_path):
    done = bench("doctor", "--data", data, "--runs", tmp_path, "--json")
    told = {finding["name"]: finding for finding in lines(done.out)}
    assert done.code == 0
    assert {"python", "packages", "torch and torchvision", "processor", "datasets"} <= set(told)
    assert told["datasets"]["value"] == "phantom-acdc"


def test_doctor_leaves_with_4_where_runs_cannot_be_written(bench, data):
    done = bench("doctor", "--data", data, "--runs", "/proc/none")
    assert done.code == 4
    assert "take a folder you may write to" in done.err


@pytest.fixture
def results(tmp_path):
    """A folder with one record, made by scoring a label map against itself."""
    return tmp_path / "runs"


def test_table_prints_writes_and_checks_what_the_records_give(bench, data, results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = data / "phantom-acdc"
    split = Dataset.load(root).split("default")
    predictions = tmp_path / "predictions"
    predictions.mkdir()
    for case in Dataset.load(root).only(split.test).cases:
        (predictions / f"{case.id}.nii.gz").write_bytes((root / case.label.file).read_bytes())
    assert bench("score", predictions, root, "--method", "theirs", "--out", results / "theirs").code == 0
    assert load([results])[1] == []
    assert "theirs" in bench("table", results).out
    assert lines(bench("table", results, "--json").out)[0]["macro"]["dice:v1"]["mean"] == 1.0
    out = tmp_path / "table.md"
    assert bench("table", results, "--out", out).code == 0
    assert bench("table", results, "--out", out, "--check").code == 0
    out.write_text(out.read_text().replace("1.000", "0.999"))
    done = bench("table", results, "--out", out, "--check")
    assert done.code == 1 and "0.999" in done.err and "0.999" in out.read_text()


def test_a_readme_that_lags_behind_is_found(bench, data, results, tmp_path):
    label = next((data / "phantom-acdc" / "labelsTr").glob("*.nii.gz"))
    bench("score", label, label, "--method", "theirs", "--out", results / "theirs")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table:* -->\n<!-- /table -->\n")
    assert bench("table", results, "--readme", readme, "--check").code == 1
    assert bench("table", results, "--readme", readme).code == 0
    assert "theirs" in readme.read_text()
    assert bench("table", results, "--readme", readme, "--check").code == 0


@pytest.fixture
def scored(bench, data, tmp_path):
    """A leaderboard of one record, with a README beside it."""
    label = next((data / "phantom-acdc" / "labelsTr").glob("*.nii.gz"))
    folder = tmp_path / "leaderboards"
    bench("score", label, label, "--method", "theirs", "--out", folder / "results" / "theirs")
    (tmp_path / "README.md").write_text("<!-- table:* -->\n<!-- /table -->\n")
    return folder


def test_pages_are_written_checked_and_a_stale_one_is_shown(bench, scored):
    assert bench("table", "--check", scored).code == 1
    done = bench("table", "--write", scored)
    assert done.code == 0 and "wrote" in done.err
    pages = scored / "pages"
    page = next(path for path in pages.glob("*.md") if path.name != "gate.md")
    assert {path.name for path in pages.iterdir()} == {
        "gate.md", *(f"{page.stem}{ending}" for ending in (".csv", ".json", ".md", ".tex"))
    }  # fmt: skip
    assert "theirs" in (scored.parent / "README.md").read_text()
    assert bench("table", "--check", scored) == (0, "", "")
    page.write_text(page.read_text().replace("1.000", "0.999"))
    done = bench("table", "--check", scored)
    assert done.code == 1 and "0.999" in done.err and "bench table --write" in done.err
    assert "0.999" in page.read_text()


@pytest.mark.parametrize(
    "words", [["--write"], ["--check", "."], ["--write", "--check", "."], ["--write", "--out", "x"]]
)
def test_pages_need_one_folder_of_results_and_no_other_target(bench, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = bench("table", *words)
    assert done.code == 2 and "mend" in done.err


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["--format", "latex"], "\\begin{table}"),
        (["--format", "html"], "<table>"),
        (["--format", "challenger", "--metric", "hd95"], '"task","case","algorithm","value"'),
        (["--format", "csv"], '"dataset",'),
        (["--format", "markdown"], "**"),
    ],
)
def test_every_format_is_written(bench, scored, words, start):
    done = bench("table", scored, *words)
    assert done.code == 0 and done.out.startswith(start) and "theirs" in done.out


def test_the_ending_of_a_file_says_the_format(bench, scored, tmp_path):
    for ending, start in ((".tex", "\\begin"), (".html", "<table>"), (".csv", '"dataset"'), (".json", "{")):
        out = tmp_path / f"table{ending}"
        assert bench("table", scored, "--out", out).code == 0
        assert out.read_text().startswith(start)


def test_an_unknown_metric_is_a_slip_of_the_pen(bench, scored):
    done = bench("table", scored, "--format", "challenger", "--metric", "dise")
    assert done.code == 2 and "Did you mean 'dice'" in done.err


def test_a_table_is_as_wide_as_the_variable_columns_says(bench, scored, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert max(map(len, bench("table", scored).out.splitlines())) <= 70


def test_table_without_records_says_what_to_do(bench, tmp_path):
    done = bench("table", tmp_path)
    assert done.code == 3
    assert "bench run" in done.err
