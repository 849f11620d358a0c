"""An answer as it goes over the wire, byte for byte what the handlers would send."""

from collections.abc import Mapping
from http.client import responses
from types import MappingProxyType

from tornado.httputil import HTTPHeaders

from server.serving.negotiation import SHARED, headers_of
from server.serving.payload import Representation

SERVER = "Freshet"
NOTHING: Mapping[str, str] = MappingProxyType({})


class WireResponse:
    """Ready but for its `Date`. `hits` counts how often it was sent since that was last set.

    `route` names what it answers, for counts; `href` the query, for what is warmed after a sync.
    `closes` says that the connection ends with it. `body` is the very object that is on the shelf,
    empty if none is sent; `length` counts its bytes. `strict` are headers of answers that go over
    https.
    """

    __slots__ = (
        "_after",
        "_before",
        "body",
        "closes",
        "hits",
        "href",
        "length",
        "method",
        "route",
        "status",
        "wire",
    )

    def __init__(
        self,
        ready: Representation,
        *,
        method: str,
        unmodified: bool,
        closes: bool,
        route: str,
        href: str,
        strict: Mapping[str, str] = NOTHING,
    ) -> None:
        self.method = method
        self.status = 304 if unmodified else 200
        self.closes = closes
        self.route = route
        self.href = href
        self.hits = 0
        self.wire: bytes | None = None
        headers = HTTPHeaders(
            {"Server": SERVER, "Content-Type": "", "Date": "", **SHARED, **strict}
        )
        if unmodified:  # what Tornado takes away from an answer without a body
            del headers["Content-Type"]
        for name, value in headers_of(ready, unmodified):
            headers[name] = value
        if closes:
            headers["Connection"] = "close"
        lines = [f"{name}: {value}\r\n" for name, value in headers.get_all()]
        date = lines.index("Date: \r\n")
        start = f"HTTP/1.1 {self.status} {responses[self.status]}\r\n"
        self._before = (start + "".join(lines[:date]) + "Date: ").encode("latin-1")
        self._after = ("\r\n" + "".join(lines[date + 1 :]) + "\r\n").encode("latin-1")
        self.body = ready.body if method == "GET" and not unmodified else b""
        self.length = len(self.body)

    @property
    def size(self) -> int:
        """Bytes on the wire, near enough."""
        return len(self._before) + len(self._after) + 29 + self.length

    def dated(self, date: bytes) -> bytes:
        """The whole answer with this `Date`, kept as `wire` until that is cleared."""
        self.wire = b"".join((self._before, date, self._after, self.body))
        return self.wire

    def rest(self, wire: bytes, sent: int) -> list[bytes | memoryview]:
        """Return what is left of `wire` when `sent` bytes of it are sent.

        It refers to the body, so that a client that is slow keeps alive what all others share, and
        not the bytes of one second.
        """
        head = len(wire) - self.length
        left: list[bytes | memoryview] = [wire[sent:head]] if sent < head else []
        if self.body:
            left.append(memoryview(self.body)[max(sent - head, 0) :])
        return left
