import json

import msgspec
import pytest
from click.testing import CliRunner

from bench.commands.score import command
from converters.errors import BenchError, UsageError
from leaderboards.collect import load
from leaderboards.record import Record
from leaderboards.rules import faults
from leaderboards.table import rows


def run(*arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_folder_and_a_dataset_score_the_test_cases_of_a_split(hearts, predictions):
    result = run(predictions, hearts.root, "--split", "default", "--json")
    assert result.return_value == 0
    assert {s["case"] for s in lines(result)} == {path.name.removesuffix(".nii.gz") for path in predictions.iterdir()}
    assert len(lines(result)) == 12 and all(s["metrics"]["dice:v1"] == 1.0 for s in lines(result))


def test_two_files_and_two_folders_need_no_dataset(hearts, predictions):
    path = next(predictions.iterdir())
    assert [s["label"] for s in lines(run(path, hearts.root / "labelsTr" / path.name, "--json"))] == ["1", "2", "3"]
    result = run(predictions, predictions, "--json")
    assert result.return_value == 0 and len(lines(result)) == 12


def test_the_table_names_labels_means_and_failures(hearts, predictions):
    next(predictions.iterdir()).unlink()
    result = run(predictions, hearts.root, "--cases")
    assert result.return_value == 1
    assert "there is no prediction; scored as missed" in result.stderr
    cells = [line.split() for line in result.stdout.splitlines()]
    wall = next(row for row in cells if row[:2] == ["wall", "4"])
    assert wall[2] == "0.7500" and wall[-4:] == ["0", "0", "1", "0"]
    assert sum(row[2:3] == ["invalid"] for row in cells) == 3
    assert any(line.startswith("(mean over labels)") for line in result.stdout.splitlines())


def test_a_method_gets_a_record_that_the_table_ranks(hearts, predictions, tmp_path):
    run(predictions, hearts.root, "--method", "their net", "--out", tmp_path / "out")
    record = Record.load(tmp_path / "out" / "record.json")
    assert (record.method, record.dataset, record.split, record.protocol) == (
        "their net",
        "tiny",
        "default",
        "unstated",
    )
    assert record.digests["dataset"] == hearts.file.bench.content_sha256
    assert record.digests[f"prediction:{record.cases[0].case}"] == hearts.case(record.cases[0].case).label.data_sha256
    assert record.train is None and record.code["numpy"] and record.machine["cpu"]
    assert str(tmp_path) not in (tmp_path / "out" / "record.json").read_text()
    records, problems, _ = load([tmp_path / "out"])
    (row,), left_out = rows(records)
    assert (problems, left_out) == ([], [])
    assert row.macro["dice:v1"].mean == 1.0 and row.subjects == 2


def test_a_stated_protocol_is_recorded_with_its_version(hearts, predictions, tmp_path):
    run(predictions, hearts.root, "--method", "a", "--protocol", "noisy", "--seed", 3, "--out", tmp_path / "out")
    record = Record.load(tmp_path / "out" / "record.json")
    assert (record.protocol, record.seed) == ("noisy50", 3) and record.definitions["protocol"].startswith("noisy50:v")
    with pytest.raises(UsageError, match="no protocol 'semi1x'"):
        run(predictions, hearts.root, "--method", "a", "--protocol", "semi1x")


def test_what_is_said_of_a_training_puts_the_row_beside_runs_that_did_the_same(hearts, predictions, tmp_path):
    said = ("--protocol", "semi10", "--draw", "ssl4mis", "--selection", "last")
    run(predictions, hearts.root, "--method", "theirs", *said, "--out", tmp_path / "out")
    theirs = Record.load(tmp_path / "out" / "record.json")
    recipe = {"preset": "cpu", "train": {"method": "supervised"}}
    ours = msgspec.structs.replace(theirs, method="supervised", recipe=recipe)
    assert (ours.protocol, ours.annotator, ours.draw, ours.selection) == ("semi10", "dense", "ssl4mis", "last")
    made, left_out = rows([theirs, ours])
    assert left_out == [] and made[0].section == made[1].section
    assert {row.method: row.variant for row in made} == {"theirs": "predictions=foreign", "supervised": ""}
    assert faults(theirs) == []
    run(predictions, hearts.root, "--method", "theirs", *said, "--labels", "half of it", "--out", tmp_path / "other")
    assert Record.load(tmp_path / "other" / "record.json").annotator == "half of it"
    for wrong in (("--labels", "dense"), ("--draw", "0"), ("--protocol", "full", "--draw", "-1")):
        with pytest.raises(UsageError, match=r"labels of no protocol|no draw"):
            run(predictions, hearts.root, "--method", "theirs", *wrong)


def test_without_out_a_record_goes_to_its_own_folder_of_runs(hearts, predictions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(predictions, hearts.root, "--method", "../<script>")
    (path,) = (tmp_path / "runs" / "foreign" / "tiny").rglob("record.json")
    assert path.parent.parent.name == "script" and Record.load(path).method == "../<script>"


def test_a_file_against_a_folder_and_a_split_without_a_dataset_are_refused(hearts, predictions):
    with pytest.raises(UsageError, match="one is a file"):
        run(next(predictions.iterdir()), predictions)
    with pytest.raises(UsageError, match=r"no dataset\.json here"):
        run(predictions, predictions, "--split", "default")
    with pytest.raises(UsageError, match="Did you mean 'default'"):
        run(predictions, hearts.root, "--split", "defualt")


def test_references_without_a_label_are_refused(predictions, tmp_path):
    from converters.volume import Volume, read_label, write_nifti

    path = next(predictions.iterdir())
    volume = read_label(path)
    for folder in ("prediction", "reference"):
        write_nifti(tmp_path / folder / "a.nii.gz", Volume((volume.array > 0).astype("uint8") * 255, volume.affine))
    with pytest.raises(BenchError, match="no label but 0 and 255"):
        run(tmp_path / "prediction" / "a.nii.gz", tmp_path / "reference" / "a.nii.gz")
