"""Downloads that break, go on, or are not the file: what is kept is whole and the right one."""

import json
from contextlib import contextmanager

import pytest
from contents import tree
from crooked_server import BODY, MD5, QUICK, SHA256, Site, get, ranges

from converters.draft import Patience
from converters.errors import BenchError, EnvironmentFault
from converters.fetch import fetch
from converters.source import Remote

pytestmark = pytest.mark.usefixtures("no_proxy")


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
