"""A web server on this machine that answers as it is told, and remembers what it was asked."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from converters.draft import Patience
from converters.fetch import fetch
from converters.source import Remote

DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
BODY = bytes(range(256)) * 4000  # a megabyte
MD5 = "md5:" + hashlib.md5(BODY, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(tries=3, wait=0.0, timeout=0.3, most=3_000_000)


@dataclass
class Site:
    """What is served, and how it goes wrong."""

    body: bytes
    tag: str = '"one"'
    ranges: bool = True
    cut: int | None = None  # bytes of a body after which the connection breaks
    cuts: int = 10**9  # so many times
    headers: dict[str, str] = field(default_factory=dict)  # beside, or instead of, the right ones; "" leaves one out
    status: list[int] = field(default_factory=list)  # of the first answers, instead of the file
    places: list[str] = field(default_factory=list)  # that the first answers redirect to
    pause: float = 0.0  # seconds in the middle of a body
    forever: bytes = b""  # sent after the body, again and again
    before: Callable[["Site"], None] = lambda site: None  # what happens to the site when it is asked
    after: Callable[["Site"], None] = lambda site: None  # what happens to the site when an answer is out
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def headers_of(self, start: int) -> dict[str, str]:
        """The right ones."""
        head = {"Content-Length": str(len(self.body) - start), "Last-Modified": DATE, "ETag": self.tag}
        head["Accept-Ranges"] = "bytes" if self.ranges else "none"
        if start:
            head["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return {key: value for key, value in (head | self.headers).items() if value}


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """One answer."""
        site = self.site
        site.asked.append({"path": self.path, **{key.lower(): value for key, value in self.headers.items()}})
        site.before(site)
        if site.places:
            self.plain(302, {"Location": site.places.pop(0)})
        elif site.status and (status := site.status.pop(0)):
            self.plain(status, site.headers)
        else:
            self.file(site)
        site.after(site)

    def plain(self, status: int, headers: dict[str, str]) -> None:
        """No body."""
        self.send_response(status)
        for item in headers.items():
            self.send_header(*item)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def file(self, site: Site) -> None:
        """The file, or what is asked of it."""
        start = 0
        if site.ranges and self.headers.get("If-Range") in (site.tag, DATE) and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(site.body) > 0:
            return self.plain(416, {"Content-Range": f"bytes */{len(site.body)}"})
        self.send_response(206 if start else 200)
        for item in site.headers_of(start).items():
            self.send_header(*item)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.send(site, site.body[start:])
        return None

    def send(self, site: Site, body: bytes) -> None:
        """The bytes, as far as they go."""
        if site.cut is not None and site.cuts > 0:
            site.cuts -= 1
            body = body[: site.cut]
        self.wfile.write(body[: len(body) // 2])
        if site.pause:
            self.wfile.flush()
            time.sleep(site.pause)
        self.wfile.write(body[len(body) // 2 :])
        while site.forever:
            self.wfile.write(site.forever)


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """The site, at its address, until the block ends."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(site, folder, patience=QUICK, **facts):
    """Fetch what the site serves; `facts` are published of it."""
    return fetch(Remote(url=f"{site.url}/set.zip", name="set.zip", **facts), folder, patience=patience)


def ranges(site):
    """What was asked for, each time."""
    return [asked.get("range") for asked in site.asked]
