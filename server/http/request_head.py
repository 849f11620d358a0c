"""Reading the plainest of request heads; every other is for Tornado."""

import re
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, HTTPInputError, parse_request_start_line

from server.http.connections.head_limits import MAX_FIELDS, MAX_NAME_BYTES

MAX_BYTES = 4096  # longer ones are rare, and would fill the memory that knows them

# A subset of RFC 9112 about which no two readers disagree: no obs-fold, no bare LF, no blank before
# a colon, no byte that is not printable ASCII.
PLAIN = re.compile(
    rb"(?:GET|HEAD) /[!-~]* HTTP/1\.1\r\n"
    rb"(?:[!#$%%&'*+\-.^_`|~0-9A-Za-z]{1,%d}:[ -~]*\r\n){1,%d}\r\n" % (MAX_NAME_BYTES, MAX_FIELDS)
)
# What proxies add, other for each client or request; no answer depends on it. It may only matter
# that a client has come by plain http.
OF_PROXIES = re.compile(
    rb"\r\n(?:X-Forwarded-(?!Proto:[ -~]*\bhttp\b)[a-z\-]{1,64}|X-Real-Ip|X-Request-Id"
    rb"|Forwarded|Via|Traceparent|Tracestate)"
    rb":[ -~]*(?=\r\n)",
    re.IGNORECASE,
)
BY_HTTP = re.compile(r"\bhttp\b", re.IGNORECASE)
HOST = re.compile(r"[0-9A-Za-z.\-\[\]:]+")
OF_A_BODY_OR_MORE = frozenset(
    {"Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Trailer"}
)


@dataclass(frozen=True, slots=True)
class Request:
    """What decides an answer. `closes` says that the client wants no further one.

    `by_http` says that a header of a proxy tells of plain http.
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
    """A head without what proxies have told of themselves and the client."""
    return OF_PROXIES.sub(b"", head)


def read(head: bytes) -> Request | None:
    """A head up to and with its blank line; None if it is anything but plain."""
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
        len(headers) != len(list(headers.get_all()))  # a name that comes twice
        or not HOST.fullmatch(headers.get("Host", ""))
        or not OF_A_BODY_OR_MORE.isdisjoint(headers)
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
