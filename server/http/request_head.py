"""Parsing plain request heads; Tornado parses all others."""

import re
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, HTTPInputError, parse_request_start_line

from server.http.connections.head_limits import MAX_FIELDS, MAX_NAME_BYTES

MAX_BYTES = 4096  # longer heads are rare and would fill the head cache

# A subset of RFC 9112 about which no two readers disagree: no obs-fold, no bare LF, no blank before
# a colon, no byte that is not printable ASCII.
PLAIN = re.compile(
    rb"(?:GET|HEAD) /[!-~]* HTTP/1\.1\r\n"
    rb"(?:[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,%d}:[ -~]*\r\n){1,%d}\r\n" % (MAX_NAME_BYTES, MAX_FIELDS)
)
# Headers that proxies add, different for each client or request. No response depends on them,
# except that a client may have used plain HTTP.
PROXY_HEADERS = re.compile(
    rb"\r\n(?:X-Forwarded-(?!Proto:[ -~]*\bhttp\b)[a-z\-]{1,64}|X-Real-Ip|X-Request-Id"
    rb"|Forwarded|Via|Traceparent|Tracestate)"
    rb":[ -~]*(?=\r\n)",
    re.IGNORECASE,
)
BY_HTTP = re.compile(r"\bhttp\b", re.IGNORECASE)
HOST = re.compile(r"[0-9A-Za-z.\-\[\]:]+")
HANDOFF_HEADERS = frozenset({"Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Trailer"})


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that determine its response.

    `closes` says that the client asked to close the connection after the response; `by_http` that a
    proxy's header reports plain HTTP.
    """

    method: str
    path: str
    query: str
    accept_encoding: str
    if_none_match: str | None
    if_modified_since: str | None
    closes: bool
    by_http: bool = False


def without_proxies(head: bytes) -> bytes:
    """Return a head without the headers that proxies add."""
    return PROXY_HEADERS.sub(b"", head)


def read(head: bytes) -> Request | None:
    """Parse a head that ends with its blank line; return None if it is not plain."""
    if len(head) > MAX_BYTES or PLAIN.fullmatch(head) is None:
        return None
    first, _, fields = head.decode("ascii").partition("\r\n")
    try:
        method, target, _ = parse_request_start_line(first)
        headers = HTTPHeaders.parse(fields)
    except HTTPInputError:
        return None
    connection = headers.get("Connection", "keep-alive").lower()
    if (
        len(headers) != len(list(headers.get_all()))  # a repeated name
        or not HOST.fullmatch(headers.get("Host", ""))
        or not HANDOFF_HEADERS.isdisjoint(headers)
        or connection not in ("keep-alive", "close")
    ):
        return None
    path, _, query = target.partition("?")
    return Request(
        method,
        path,
        query,
        headers.get("Accept-Encoding", ""),
        headers.get("If-None-Match"),
        headers.get("If-Modified-Since"),
        connection == "close",
        BY_HTTP.search(headers.get("X-Forwarded-Proto", "")) is not None,
    )
