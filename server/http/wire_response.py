"""Responses as they are sent, byte for byte equal to those of the handlers."""

from collections.abc import Mapping
from http.client import responses
from types import MappingProxyType

from tornado.httputil import HTTPHeaders

from server.serving.deprecations import Headers
from server.serving.negotiation import SHARED, headers_of
from server.serving.payload import Representation

SERVER = "Freshet"
NOTHING: Mapping[str, str] = MappingProxyType({})


class WireResponse:
    """A response that lacks only its `Date`.

    `hits` counts how often it was sent since the last tick. `route` is the route for metrics,
    `href` the query for the warming after a sync. `closes` says that the connection ends with it.
    `body` is the object of the response store itself, empty if no body is sent; `length` is its
    size in bytes. `strict` holds headers that only responses over HTTPS carry, `announced` those of
    what is deprecated.
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
        announced: Headers = (),
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
        if unmodified:  # Tornado removes it from a response without a body
            del headers["Content-Type"]
        for name, value in headers_of(ready, unmodified):
            headers[name] = value
        for name, value in announced:
            headers.add(name, value)
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
        """The approximate number of bytes on the wire."""
        return len(self._before) + len(self._after) + 29 + self.length

    def dated(self, date: bytes) -> bytes:
        """Return the complete response with this `Date`, and keep it as `wire`."""
        self.wire = b"".join((self._before, date, self._after, self.body))
        return self.wire

    def rest(self, wire: bytes, sent: int) -> list[bytes | memoryview]:
        """Return the part of `wire` that follows its first `sent` bytes.

        The body in it is a view of the shared object, so that a slow client does not keep a copy of
        its own alive.
        """
        head = len(wire) - self.length
        left: list[bytes | memoryview] = [wire[sent:head]] if sent < head else []
        if self.body:
            left.append(memoryview(self.body)[max(sent - head, 0) :])
        return left
