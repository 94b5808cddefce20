"""`bench submit`: what is packed, what is refused."""

import json

import msgspec
import numpy as np
import pytest
from contents import tree

from bench.submission import MANIFEST, Submission
from converters.archives import unpack
from converters.volume import Volume, data_sha256, read_label, read_nifti, write_nifti
from leaderboards.record import Record


@pytest.fixture
def theirs(bench, hearts, predictions, tmp_path):
    """A record of foreign predictions that are nearly right, named as MONAI names them; one of four is missing."""
    for path in sorted(predictions.iterdir()):
        volume = read_label(path)
        array = volume.array.copy()
        array[:2] = 3
        path.unlink()
        own = predictions / path.name.removesuffix(".nii.gz")
        write_nifti(own / f"{own.name}_seg.nii.gz", Volume(array, volume.affine), description="made by Dr Who")
    next(sorted(predictions.iterdir())[0].iterdir()).unlink()
    assert bench("score", predictions, hearts.root, "--method", "their net", "--out", tmp_path / "run").code == 1
    return tmp_path / "run"


def submit(bench, run, predictions, out, *more):
    return bench("submit", run, "--predictions", predictions, "--out", out, "--json", *more)


def test_a_foreign_run_is_packed_with_its_predictions_found_by_their_voxels(bench, theirs, predictions, tmp_path):
    done = submit(bench, theirs, predictions, tmp_path / "sent")
    assert done.code == 0
    record = Record.load(theirs / "record.json")
    name = f"tiny-unstated-their-net-{record.id()[:12]}"
    cases = sorted({score.case for score in record.cases if score.status != "invalid"})
    assert len(cases) == 3
    wanted = {MANIFEST, f"{name}/record.json", *(f"{name}/predictions/{case}.nii.gz" for case in cases)}
    assert set(tree(tmp_path / "sent")) == wanted
    for case in cases:
        file = tmp_path / "sent" / name / "predictions" / f"{case}.nii.gz"
        assert data_sha256(read_label(file)) == record.digests[f"prediction:{case}"]
        assert read_nifti(file).array.dtype == np.uint8
    made = Submission.load(tmp_path / "sent")
    assert [run.id for run in made.runs] == [record.id()] and made.runs[0].model is None
    assert json.loads(done.out)["runs"][0]["files"] == made.runs[0].files


def test_nothing_of_another_header_goes_along(bench, theirs, predictions, tmp_path):
    submit(bench, theirs, predictions, tmp_path / "sent")
    unpacked = [read_bytes(path) for path in (tmp_path / "sent").rglob("*.nii.gz")]
    assert unpacked and not any(b"Dr Who" in data for data in unpacked)
    assert any(b"Dr Who" in read_bytes(path) for path in predictions.rglob("*.nii.gz"))


def read_bytes(path):
    import gzip

    return gzip.decompress(path.read_bytes())


def test_the_same_run_gives_the_same_zip(bench, theirs, predictions, tmp_path):
    for name in ("a.zip", "b.zip"):
        assert submit(bench, theirs, predictions, tmp_path / name).code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    unpack(tmp_path / "a.zip", tmp_path / "unpacked")
    submit(bench, theirs, predictions, tmp_path / "folder")
    assert tree(tmp_path / "unpacked") == tree(tmp_path / "folder")
    assert not list(tmp_path.glob(".*"))


def test_a_run_that_breaks_a_rule_is_refused_with_the_table_of_rules(bench, theirs, predictions, tmp_path):
    record = Record.load(theirs / "record.json")
    better = {**record.cases[-1].metrics, "dice:v1": 0.99}
    cases = (*record.cases[:-1], msgspec.structs.replace(record.cases[-1], metrics=better))
    msgspec.structs.replace(record, cases=cases).save(theirs / "record.json")
    done = bench("submit", theirs, "--predictions", predictions, "--out", tmp_path / "sent.zip")
    assert done.code == 1 and "1 of 1 runs break a rule" in done.err
    (line,) = [line for line in done.out.splitlines() if "broken" in line]
    assert "overlap" in line and "Dice 0.990000 is not" in line
    assert not (tmp_path / "sent.zip").exists()


def test_predictions_that_were_not_scored_are_not_packed(bench, theirs, predictions, tmp_path):
    for path in predictions.rglob("*.nii.gz"):
        volume = read_label(path)
        write_nifti(path, Volume(volume.array[::-1], volume.affine))
    done = submit(bench, theirs, predictions, tmp_path / "sent.zip")
    assert done.code == 3 and "no file here holds the prediction of case" in done.err
    assert not list(tmp_path.glob("*sent*")) and not list(tmp_path.glob(".*"))


def test_images_and_references_never_go_along(bench, hearts, predictions, tmp_path):
    case = hearts.only(hearts.split("default").test).cases[0]
    path = predictions / f"{case.id}.nii.gz"
    image = read_nifti(hearts.root / case.images["cine"].file)
    write_nifti(path, Volume(np.clip(image.array, 0, 255).astype(np.int16), image.affine))
    assert bench("score", predictions, hearts.root, "--method", "a", "--out", tmp_path / "run").code == 1
    done = submit(bench, tmp_path / "run", predictions, tmp_path / "sent")
    assert done.code == 3 and "is its reference label" in done.err
    for one in predictions.iterdir():
        if one != path:
            volume = read_label(one)
            array = volume.array.copy()
            array[0] = 1
            write_nifti(one, Volume(array, volume.affine))
    assert bench("score", predictions, hearts.root, "--method", "a", "--out", tmp_path / "run").code == 1
    assert f"prediction:{case.id}" in Record.load(tmp_path / "run" / "record.json").digests
    assert submit(bench, tmp_path / "run", predictions, tmp_path / "sent").code == 0
    assert len(list((tmp_path / "sent").rglob("*.nii.gz"))) == 3
    assert not list((tmp_path / "sent").rglob(f"{case.id}.nii.gz"))


def test_what_is_there_is_left_as_it_is(bench, theirs, predictions, tmp_path):
    (tmp_path / "mine.zip").write_text("mine")
    assert submit(bench, theirs, predictions, tmp_path / "mine.zip").code == 3
    assert (tmp_path / "mine.zip").read_text() == "mine"


@pytest.mark.parametrize(("more", "code"), [(["--with-models"], 3), (["again"], 2)])
def test_what_cannot_be_packed_is_said(bench, theirs, predictions, tmp_path, more, code):
    words = [theirs if word == "again" else word for word in more]
    assert submit(bench, theirs, predictions, tmp_path / "sent", *words).code == code
    assert not (tmp_path / "sent").exists()
    assert bench("submit", theirs, "--out", tmp_path / "sent").code == 3, "there is no folder of predictions"
    assert bench("submit", theirs, theirs, "--out", tmp_path / "sent").code == 3


@pytest.mark.parametrize("change", ["edited", "absent", "more", "newer"])
def test_a_submission_that_is_not_as_its_manifest_says_is_refused(bench, theirs, predictions, tmp_path, change):
    sent = tmp_path / "sent"
    submit(bench, theirs, predictions, sent)
    victim = next(sent.rglob("*.nii.gz"))
    if change == "edited":
        victim.write_bytes(victim.read_bytes() + b" ")
    elif change == "absent":
        victim.unlink()
    elif change == "more":
        (victim.parent / "notes.txt").write_text("x")
    else:
        manifest = json.loads((sent / MANIFEST).read_text())
        (sent / MANIFEST).write_text(json.dumps(manifest | {"format": 2}))
    done = bench("verify", sent, "--level", 0)
    said = {"edited": "is another file", "absent": "is absent", "more": "notes.txt", "newer": "format 2 is newer"}
    assert done.code == 3 and said[change] in done.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runs": []}, "no run in it"),
        ({"record": "a\0b"}, "is not among the files"),
        ({"files": {"a\0b": "00", "b": "00"}, "record": "b"}, "leads out of its folder"),
        ({"predictions": "../.."}, "leads out of its folder"),
        ({"record": "."}, "is not among the files"),
    ],
)
def test_a_manifest_that_leads_nowhere_is_refused(bench, theirs, predictions, tmp_path, change, said):
    sent = tmp_path / "sent"
    submit(bench, theirs, predictions, sent)
    manifest = json.loads((sent / MANIFEST).read_text())
    if change == {"runs": []}:
        for name in manifest["runs"][0]["files"]:
            (sent / name).unlink()
        manifest |= change
    else:
        manifest["runs"][0] |= change
    (sent / MANIFEST).write_text(json.dumps(manifest))
    done = bench("verify", sent, "--level", 0)
    assert done.code == 3 and said in done.err and str(sent) in done.err
