"""Downloads from servers that break, dawdle, lie and lead astray."""

import dataclasses
import hashlib
import io
import json
import shutil
import zipfile
from collections import namedtuple
from contextlib import contextmanager

import pytest
from contents import tree
from crooked_server import Site, serving

from converters.draft import Patience
from converters.errors import BenchError, EnvironmentFault
from converters.fetch import fetch
from converters.lock import locked
from converters.phantoms.acdc import write as write_acdc
from converters.source import Access, Remote
from converters.sources import acdc, chaos

BODY = bytes(range(256)) * 4000  # a megabyte
MD5 = "md5:" + hashlib.md5(BODY, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(tries=3, wait=0.0, timeout=0.3, most=3_000_000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def site():
    with serving(Site(BODY)) as one:
        yield one


def get(site, folder, patience=QUICK, **facts):
    return fetch(Remote(url=f"{site.url}/set.zip", name="set.zip", **facts), folder, patience=patience)


def ranges(site):
    return [asked.get("range") for asked in site.asked]


def test_a_file_is_fetched_once_and_checked_by_what_is_published(site, tmp_path):
    got = get(site, tmp_path / "raw", bytes=len(BODY), checksum=MD5)
    assert (got.fetched, got.checked, got.sha256, got.bytes) == (True, "md5", SHA256, len(BODY))
    assert tree(tmp_path / "raw") == {"set.zip": BODY}
    again = get(site, tmp_path / "raw", bytes=len(BODY), checksum=f"sha256:{SHA256.upper()}")
    assert (again.fetched, again.checked, len(site.asked)) == (False, "sha256", 1)


def test_without_a_published_checksum_the_first_one_found_is_kept(site, tmp_path):
    assert get(site, tmp_path).checked == ""
    assert (tmp_path / "set.zip.sha256").read_text() == f"{SHA256}  set.zip\n"
    assert get(site, tmp_path, bytes=len(BODY)).checked == "size"
    (tmp_path / "set.zip").write_bytes(BODY[:-1] + b"x")
    with pytest.raises(BenchError, match=f"not {SHA256}\n.*\n  mend  remove it, and repeat"):
        get(site, tmp_path)
    (tmp_path / "set.zip").unlink()
    site.body = BODY[1:] + b"x"
    with pytest.raises(BenchError, match=f"not {SHA256}"):
        get(site, tmp_path)
    assert list(tree(tmp_path)) == ["set.zip.sha256"]


@pytest.mark.fault(85)
@pytest.mark.parametrize("tag", ['"one"', ""])
def test_a_connection_that_breaks_is_taken_up_where_it_broke(site, tmp_path, tag):
    site.tag, site.cut = tag, 300_000
    got = get(site, tmp_path, checksum=MD5)
    assert got.path.read_bytes() == BODY and list(tree(tmp_path)) == ["set.zip"]
    assert ranges(site) == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert {asked.get("if-range") for asked in site.asked[1:]} == {tag or site.headers_of(0)["Last-Modified"]}


@pytest.mark.fault(85)
def test_an_interrupted_download_goes_on_another_day(site, tmp_path):
    site.cut, site.after = 300_000, lambda one: setattr(one, "cut", 0)
    with pytest.raises(EnvironmentFault, match="ended after 300000 of 1024000 bytes, 1 times"):
        get(site, tmp_path, Patience(tries=1, wait=0.0))
    assert not (tmp_path / "set.zip").exists()
    assert (tmp_path / "set.zip.part").read_bytes() == BODY[:300_000]
    site.cut, site.after = None, lambda _: None
    assert get(site, tmp_path, checksum=MD5).path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=300000-", "bytes=300000-"]


def test_a_download_that_is_stopped_by_hand_goes_on(site, tmp_path):
    @contextmanager
    def bar(*_):
        def advance(_, size):
            if site.cut is None and size:
                site.cut = 0
                raise KeyboardInterrupt

        yield advance

    remote = Remote(url=f"{site.url}/set.zip", name="set.zip")
    with pytest.raises(KeyboardInterrupt):
        fetch(remote, tmp_path, progress=bar, patience=QUICK)
    there = (tmp_path / "set.zip.part").stat().st_size
    assert 0 < there < len(BODY) and not (tmp_path / "set.zip").exists()
    site.cut = None
    assert get(site, tmp_path, checksum=MD5).path.read_bytes() == BODY
    assert ranges(site)[1] == f"bytes={there}-"


@pytest.mark.fault(85)
def test_a_server_without_ranges_starts_anew_and_is_given_up_where_it_always_breaks(site, tmp_path):
    site.ranges, site.cut, site.cuts = False, 300_000, 2
    assert get(site, tmp_path, checksum=MD5).path.read_bytes() == BODY
    assert ranges(site) == [None] * 3
    site.cuts = 10**9
    with pytest.raises(EnvironmentFault, match="ended after 300000 of 1024000 bytes, 3 times"):
        get(site, tmp_path / "always")
    assert not (tmp_path / "always" / "set.zip").exists()


def test_a_server_that_answers_a_range_with_the_whole_file_starts_anew(site, tmp_path):
    site.cut, site.cuts = 300_000, 1
    site.after = lambda one: setattr(one, "ranges", False)
    assert get(site, tmp_path).path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=300000-"]


@pytest.mark.fault(85)
def test_a_file_that_changed_between_two_tries_is_never_stitched(site, tmp_path):
    def change(one):
        one.body, one.tag = bytes(reversed(BODY)), '"two"'

    site.cut, site.cuts, site.after = 300_000, 1, change
    assert get(site, tmp_path).path.read_bytes() == bytes(reversed(BODY))
    assert list(tree(tmp_path)) == ["set.zip", "set.zip.sha256"]


@pytest.mark.fault(85)
@pytest.mark.parametrize("dated", [False, True])
def test_a_server_that_does_not_know_if_range_does_not_make_us_stitch(site, tmp_path, dated):
    def change(one):
        one.headers = {"Content-Range": f"bytes 300000-{len(BODY) - 1}/{len(BODY)}"} if len(one.asked) == 1 else {}
        one.headers |= {"ETag": "", "Last-Modified": "Thu, 22 Oct 2015 07:28:00 GMT"} if dated else {"ETag": '"two"'}

    site.headers = {"ETag": ""} if dated else {}
    site.cut, site.cuts, site.after = 300_000, 1, change
    assert get(site, tmp_path).path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=300000-", None]


def test_a_file_that_changed_under_one_tag_is_found_out_by_its_checksum(site, tmp_path):
    site.body = b"old" + BODY[3:]
    site.cut, site.cuts, site.after = 300_000, 1, lambda one: setattr(one, "body", BODY)
    assert get(site, tmp_path, checksum=MD5).path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=300000-", None]


@pytest.mark.parametrize("told", ["bytes 5-1023999/1024000", "bytes 300000-1024000/1024001", "nonsense"])
def test_a_wrong_content_range_starts_anew(site, tmp_path, told):
    def lie(one):
        one.headers = {} if len(one.asked) > 1 else {"Content-Range": told}

    site.cut, site.cuts, site.after = 300_000, 1, lie
    assert get(site, tmp_path).path.read_bytes() == BODY
    assert ranges(site) == [None, "bytes=300000-", None]


def test_a_part_that_is_whole_or_too_long_is_seen_by_416(site, tmp_path):
    state = {"url": f"{site.url}/set.zip", "validator": site.tag, "total": len(BODY)}
    for start in (BODY, BODY + b"more"):
        (tmp_path / "set.zip.part").write_bytes(start)
        (tmp_path / "set.zip.part.json").write_text(json.dumps(state))
        assert get(site, tmp_path, checksum=MD5).path.read_bytes() == BODY
        (tmp_path / "set.zip").unlink()
    assert ranges(site) == ["bytes=1024000-", "bytes=1024004-", None]


@pytest.mark.parametrize("state", ["{", '{"url": "http://127.0.0.1/other", "validator": "\\"one\\"", "total": 9}'])
def test_a_part_of_which_nobody_knows_what_it_is_is_not_gone_on_with(site, tmp_path, state):
    (tmp_path / "set.zip.part").write_bytes(b"other")
    (tmp_path / "set.zip.part.json").write_text(state)
    assert get(site, tmp_path).path.read_bytes() == BODY
    assert ranges(site) == [None]


@pytest.mark.fault(80, 85)
@pytest.mark.parametrize(
    ("site_is", "facts", "said"),
    [
        ({"body": b"<!DOCTYPE html><p>sign in</p>"}, {}, "is HTML, the download failed"),
        ({"body": b"\xef\xbb\xbf\r\n<html><p>sign in</p>"}, {}, "is HTML, the download failed"),
        ({"headers": {"Content-Type": "text/html; charset=utf-8"}}, {}, "is HTML, the download failed"),
        ({"headers": {"Content-Encoding": "gzip"}}, {}, "packed in a way"),
        ({}, {"checksum": "md5:" + "0" * 32}, f"its {MD5.replace(':', ' is ')}, not 0000"),
        ({}, {"checksum": "sha256:" + "0" * 64}, f"its sha256 is {SHA256}, not 0000"),
        ({}, {"bytes": 7}, "the server offers 1024000 bytes; 7 are published"),
        ({"headers": {"Content-Length": "7"}}, {"bytes": 1_024_000}, "offers 7 bytes; 1024000 are published"),
        ({"headers": {"Content-Length": "7"}}, {"checksum": MD5}, "another file: its md5"),
        ({"headers": {"Content-Length": "4000000"}}, {}, "4000000 bytes; the limit is 3000000"),
        ({"headers": {"Content-Length": ""}, "forever": bytes(10_000)}, {}, "more than 3000000 bytes come"),
        ({"headers": {"Content-Length": ""}, "forever": b"x"}, {"bytes": 1_024_000}, "more than 1024000 bytes come"),
    ],
)
def test_what_is_not_the_file_never_gets_its_name(site, tmp_path, site_is, facts, said):
    for name, value in site_is.items():
        setattr(site, name, value)
    with pytest.raises(BenchError, match=said):
        get(site, tmp_path, **facts)
    assert tree(tmp_path) == {} and len(site.asked) == 1
    vars(site).update(vars(Site(BODY, url=site.url)))
    assert get(site, tmp_path, checksum=MD5).fetched  # nothing of it is left to spoil this one


def test_a_server_that_promises_more_than_it_sends_is_asked_again_and_given_up(site, tmp_path):
    site.headers = {"Content-Length": "1025000"}
    with pytest.raises(EnvironmentFault, match=r"set\.zip: .*, 3 times"):
        get(site, tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_a_body_without_a_length_is_whole_when_it_has_the_published_size(site, tmp_path):
    site.headers = {"Content-Length": ""}
    site.cut, site.cuts = 300_000, 1
    assert get(site, tmp_path, bytes=len(BODY)).path.read_bytes() == BODY


@pytest.mark.fault(85)
def test_a_file_that_is_said_to_be_plain_is_plain(site, tmp_path):
    site.headers = {"Content-Encoding": "Identity"}
    assert get(site, tmp_path).path.read_bytes() == BODY


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(site, tmp_path):
    site.pause, site.ranges = 0.6, False
    with pytest.raises(EnvironmentFault, match="said nothing for too long, 3 times"):
        get(site, tmp_path)
    assert not (tmp_path / "set.zip").exists()


@pytest.mark.fault(85)
def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not(site, tmp_path):
    site.status, site.headers = [503, 429, 500], {"Retry-After": "0"}
    assert get(site, tmp_path, Patience(tries=4, wait=0)).fetched and len(site.asked) == 4
    site.status = [404]
    with pytest.raises(EnvironmentFault, match="the server answers 404 Not Found\n  in    http://127"):
        get(site, tmp_path / "b")
    assert len(site.asked) == 5


@pytest.mark.fault(80)
@pytest.mark.parametrize(
    "place",
    [
        "http://example.org/set.zip",
        "file:///etc/passwd",
        "ftp://127.0.0.1/set.zip",
        "data:text/plain,x",
        "http://localhost.example.org/set.zip",
        "http://127.0.0.1@example.org/set.zip",
        "http://[::1/set.zip",
        "http://2130706433/set.zip",
        "//example.org/set.zip",
    ],
)
def test_a_redirect_leads_to_https_or_nowhere(site, tmp_path, place):
    site.places = [place]
    with pytest.raises(BenchError, match=r"a redirect leads to .* which is not https"):
        get(site, tmp_path)
    assert tree(tmp_path) == {} and len(site.asked) == 1


def test_redirects_end(site, tmp_path):
    site.places = ["/b", "c", f"{site.url}/d", "/e", "/f"]
    assert get(site, tmp_path).fetched
    assert [asked["path"] for asked in site.asked] == ["/set.zip", "/b", "/c", "/d", "/e", "/f"]
    site.places = ["/loop"] * 9
    with pytest.raises(BenchError, match="more than 5 redirects"):
        get(site, tmp_path / "b")
    assert len(site.asked) == 12


@pytest.mark.fault(80)
@pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "https://me:secret@example.org/x", "x"])
def test_an_address_that_is_not_plain_https_is_not_asked(tmp_path, url):
    with pytest.raises(BenchError, match="which is not https"):
        fetch(Remote(url=url, name="x"), tmp_path, patience=QUICK)


@pytest.mark.fault(85)
def test_no_network_and_a_server_nobody_trusts_are_faults_of_the_machine(site, tmp_path):
    with serving(Site(b"")) as gone:
        pass
    with pytest.raises(EnvironmentFault, match=r"no connection: .*refused, 3 times\n  in    http://127"):
        get(gone, tmp_path)
    with pytest.raises(EnvironmentFault, match="no connection"):  # it speaks no TLS
        fetch(Remote(url=site.url.replace("http:", "https:"), name="x"), tmp_path, patience=QUICK)


def test_the_proxy_of_the_environment_is_asked(site, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", site.url)
    assert fetch(Remote(url="http://localhost:1/set.zip", name="set.zip"), tmp_path, patience=QUICK).fetched
    assert [asked["path"] for asked in site.asked] == ["http://localhost:1/set.zip"]


def test_a_name_that_leads_elsewhere_and_a_full_disk_are_refused(site, tmp_path, monkeypatch):
    with pytest.raises(BenchError, match="leads out of its folder"):
        fetch(Remote(url=site.url, name="../x"), tmp_path, patience=QUICK)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 8, 1000))
    with pytest.raises(EnvironmentFault, match=r"set\.zip needs 1024000 bytes more; 1000 are free"):
        get(site, tmp_path)


def test_bytes_are_told_as_they_come(site, tmp_path):
    told = []

    class Bar:
        def __enter__(self):
            return lambda megabytes, size: told.append((megabytes, size))

        def __exit__(self, *_):
            pass

    remote = Remote(url=f"{site.url}/set.zip", name="set.zip", bytes=len(BODY))
    site.cut, site.cuts = 300_000, 1
    fetch(remote, tmp_path, patience=QUICK, progress=lambda *label: told.append(label) or Bar())
    assert told[0] == ("set.zip", 1)
    assert sum(size for _, size in told[1:]) == len(BODY) and sum(megabytes for megabytes, _ in told[1:]) == 1


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
