"""`bench download`: a collection of files is fetched, unpacked and converted."""

import dataclasses
import hashlib
import io
import json
import shutil
import zipfile

import pytest
from contents import tree

from converters.lock import locked
from converters.phantoms.acdc import write as write_acdc
from converters.source import Access, Remote
from converters.sources import acdc, chaos

pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def packed(monkeypatch, site):
    """CHAOS, as two small archives on the crooked server; the second one is not there."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("Train_Sets/CT/1/x.dcm", "x")
    site.body = data.getvalue()
    one = Remote(url=f"{site.url}/one.zip", name="one.zip", checksum=f"sha256:{hashlib.sha256(site.body).hexdigest()}")
    files = (one, Remote(url=f"{site.url}/two.zip", name="two.zip"))
    monkeypatch.setattr(chaos, "ACCESS", Access(page="https://example.org", steps=("Sign.", "Go."), files=files))
    return site


def test_a_collection_is_fetched_and_unpacked_and_then_left_alone(bench, packed, tmp_path):
    done = bench("download", "chaos", tmp_path / "raw")
    assert done.code == 0 and "one.zip" in done.out and "checked by sha256" in done.out
    assert "two.zip: no checksum is published" in done.err and "then: Go." in done.err
    before = tree(tmp_path)
    assert sorted(before) == [
        "raw/one.zip", "raw/one/Train_Sets/CT/1/x.dcm", "raw/two.zip", "raw/two.zip.sha256",
        "raw/two/Train_Sets/CT/1/x.dcm",
    ]  # fmt: skip
    again = bench("download", "chaos", tmp_path / "raw", "--only", "one.zip", "--json")
    told = json.loads(again.out)
    assert (again.code, told["fetched"], told["checked"], told["bytes"]) == (0, False, "sha256", len(packed.body))
    assert tree(tmp_path) == before and len(packed.asked) == 2


@pytest.mark.fault(85)
def test_a_file_that_cannot_be_had_does_not_keep_the_others_from_coming(bench, packed, tmp_path):
    packed.status = [404]
    done = bench("download", "chaos", tmp_path / "raw", "--no-unpack")
    assert done.code == 4 and "404 Not Found" in done.err and f"{packed.url}/one.zip" in done.err
    assert "https://example.org\n  1. Sign.\n  2. Go." in done.err
    assert sorted(tree(tmp_path)) == ["raw/two.zip", "raw/two.zip.sha256"]
    packed.body = b"no archive"
    bad = bench("download", "chaos", tmp_path / "bad", "--only", "two.zip", "--json")
    assert bad.code == 3 and "no whole archive" in json.loads(bad.out)["what"]
    assert not (tmp_path / "bad" / "two").exists()


@pytest.mark.fault(85)
def test_a_broken_archive_of_which_nothing_is_published_is_not_held_for_the_right_one(bench, packed, tmp_path):
    right, packed.body, packed.headers = packed.body, packed.body[:60], {"Content-Length": "", "Accept-Ranges": "none"}
    bad = bench("download", "chaos", tmp_path / "raw", "--only", "two.zip")
    assert bad.code == 3 and "no whole archive" in bad.err and tree(tmp_path) == {}
    packed.body, packed.headers = right, {}
    assert bench("download", "chaos", tmp_path / "raw", "--only", "two.zip").code == 0
    (tmp_path / "raw" / "two.zip").write_bytes(b"by hand")
    shutil.rmtree(tmp_path / "raw" / "two")
    (tmp_path / "raw" / "two.zip.sha256").unlink()
    assert bench("download", "chaos", tmp_path / "raw", "--only", "two.zip").code == 3
    assert (tmp_path / "raw" / "two.zip").read_bytes() == b"by hand"


@pytest.mark.fault(87)
def test_two_downloads_into_one_folder_do_not_write_into_one_file(bench, packed, tmp_path):
    with locked(tmp_path / "raw"):
        done = bench("download", "chaos", tmp_path / "raw")
    assert done.code == 4 and "process" in done.err
    assert not packed.asked and not list((tmp_path / "raw").iterdir())


def test_acdc_converts_from_where_it_was_unpacked(bench, site, monkeypatch, tmp_path):
    write_acdc(tmp_path / "made", 1, 0)
    parts = {"database": tmp_path / "made", "acdc_scribbles": tmp_path / "made" / "acdc_scribbles"}
    bodies, files = {}, []
    for name, base in parts.items():
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for path in sorted((parts["database"] / name).rglob("*.*")):
                archive.write(path, path.relative_to(base))
        bodies[f"/{name}"] = data.getvalue()
        files.append(Remote(url=f"{site.url}/{name}", name=f"{name}.zip"))
    monkeypatch.setattr(acdc, "ACCESS", dataclasses.replace(acdc.ACCESS, files=tuple(files)))
    site.before = lambda one: setattr(one, "body", bodies[one.asked[-1]["path"]])
    assert bench("download", "acdc", tmp_path / "raw").code == 0
    done = bench("convert", "acdc", tmp_path / "raw", tmp_path / "data", "--json")
    assert done.code == 0 and json.loads(done.out.splitlines()[0])["cases"] == 2
    assert len(list((tmp_path / "data").rglob("annotations/scribble/*.nii.gz"))) == 2


def test_a_dry_run_and_a_wrong_name_fetch_nothing(bench, packed, tmp_path):
    dry = bench("download", "chaos", tmp_path / "raw", "--dry-run", "--json")
    assert [json.loads(line)["there"] for line in dry.out.splitlines()] == [False, False]
    assert bench("download", "chaos", tmp_path / "raw", "--only", "on.zip").code == 2
    assert bench("download", "chaso").code == 2
    assert not tree(tmp_path) and not packed.asked


@pytest.mark.fault(85)
def test_where_somebody_must_sign_the_steps_are_printed_and_nothing_is_done(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(chaos, "ACCESS", Access(page="https://example.org", steps=("Sign.", "Go.")))
    done = bench("download", "chaos", tmp_path / "raw")
    assert (done.code, done.out) == (3, "https://example.org\n  1. Sign.\n  2. Go.\n")
    told = json.loads(bench("download", "chaos", "--json").out)
    assert told == {"source": "chaos", "page": "https://example.org", "steps": ["Sign.", "Go."]}
    assert not list(tmp_path.iterdir())
    monkeypatch.delattr(chaos, "ACCESS")
    assert bench("download", "chaos").code == 3


@pytest.mark.parametrize("source", [acdc, chaos])
def test_every_source_ends_its_steps_with_the_conversion(source):
    assert source.ACCESS.steps[-1].startswith(f"bench convert {source.__name__.split('.')[-1]} ")
    assert all(remote.url.startswith("https://") for remote in source.ACCESS.files)
