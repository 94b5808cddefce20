"""One question to a web server: https alone, few redirects, the proxy of the environment; no cookie, no password."""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from urllib.parse import urljoin, urlsplit

from converters.errors import BenchError, EnvironmentFault

_REDIRECTS = 5
_LOCAL = {"localhost", "127.0.0.1", "::1"}  # where http is let pass, for tests and for a proxy of one's own
_WANTED = {200, 206, 416}
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504}
_WAIT_MOST = 60.0  # seconds that a server may ask to be left alone


class Again(Exception):
    """A fault that may pass: a cut or silent connection, a server that is busy."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after  # seconds that the server asks for


@contextlib.contextmanager
def asked(url: str, headers: Mapping[str, str], timeout: float) -> Iterator[http.client.HTTPResponse]:
    """The answer to a GET, with status 200, 206 or 416; `timeout` seconds may pass between two bytes of it.

    Raises:
        Again: it may be worth to ask again.
        BenchError: a redirect leads to anything but https, or the answer makes no sense.
        EnvironmentFault: the server refuses, or cannot be trusted.
    """
    response = _answer(url, headers, timeout)
    try:
        yield response
    finally:
        response.close()


def received(response: http.client.HTTPResponse, most: int) -> bytes:
    """The next bytes of the body, as they come; none at its end.

    Raises:
        Again: the connection was cut, or said nothing for too long.
    """
    try:
        return response.read1(most)
    except (OSError, http.client.HTTPException) as error:
        raise Again(f"the connection broke: {_told(error)}") from None


def _answer(url: str, headers: Mapping[str, str], timeout: float) -> http.client.HTTPResponse:
    before = ""
    for _ in range(_REDIRECTS + 1):
        _check(url, before)
        response = _one(url, headers, timeout)
        status = response.status
        if status in _WANTED:
            return response
        place = response.headers.get("Location", "")
        response.close()
        if status not in {301, 302, 303, 307, 308} or not place:
            raise _refusal(url, status, response.headers)
        url, before = _joined(url, place.replace(" ", "%20")), url
    raise BenchError(f"more than {_REDIRECTS} redirects", where=url, mend="get it by hand, and say so to us")


def _joined(url: str, place: str) -> str:
    try:
        return urljoin(url, place)
    except ValueError:
        return place


def _one(url: str, headers: Mapping[str, str], timeout: float) -> http.client.HTTPResponse:
    # Put together by hand: the usual opener follows redirects to ftp, and opens file: and data: too.
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", "frugalseg"), ("Accept-Encoding", "identity")]
    try:
        response = opener.open(urllib.request.Request(url, headers=dict(headers)), timeout=timeout)
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise EnvironmentFault(f"the server cannot be trusted: {_told(reason)}", where=url) from None
        raise Again(f"no connection: {_told(reason)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Again(f"no connection: {_told(error)}") from None
    except (ValueError, UnicodeError) as error:
        raise BenchError(f"no address of a file: {error}", where=url) from None
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _check(url: str, before: str) -> None:
    """Refuse an address that is not https; `before` redirected to it."""
    try:
        new, old = urlsplit(url), urlsplit(before)
        local = new.hostname in _LOCAL
        safe = new.scheme == "https" and (not local or not before or old.hostname in _LOCAL)
        safe = safe or (new.scheme == "http" and local and old.scheme in ("", "http"))
        safe = safe and bool(new.hostname) and new.username is None and new.password is None
    except ValueError:
        safe = False
    if not safe:
        led = "a redirect leads to" if before else "the address is"
        raise BenchError(f"{led} {url!r}, which is not https", where=before or url, mend="get it by hand")


def _refusal(url: str, status: int, headers: Message) -> Exception:
    told = f"the server answers {status} {http.client.responses.get(status, '')}".rstrip()
    if status not in _MAY_PASS:
        return EnvironmentFault(told, where=url)
    asks = headers.get("Retry-After", "")
    return Again(told, min(_WAIT_MOST, float(asks)) if asks.isdecimal() else 0.0)


def _told(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server said nothing for too long"
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return told or type(error).__name__
