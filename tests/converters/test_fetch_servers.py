"""Servers and networks that dawdle, refuse, lead astray or are not there."""

import shutil
from collections import namedtuple

import pytest
from contents import tree
from crooked_server import BODY, QUICK, Site, get, serving

from converters.draft import Patience
from converters.errors import BenchError, EnvironmentFault
from converters.fetch import fetch
from converters.source import Remote

pytestmark = pytest.mark.usefixtures("no_proxy")


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
