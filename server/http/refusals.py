"""Requests that no handler sees: unreadable ones, and TLS on a port for plain HTTP."""

import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http.client import responses
from typing import Any

import structlog
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPInputError
from tornado.iostream import UnsatisfiableReadError

from server.http.connections.accounted_stream import AccountedStream
from server.http.connections.head_limits import (
    BODY_TOO_LARGE,
    BODY_TOO_SLOW,
    MAX_CHUNKS,
    NO_CHUNK,
    TOO_MANY_CHUNKS,
    RequestFault,
    request_line,
)
from server.http.connections.lingering_close import Linger
from server.http.wire_response import SERVER
from server.serving.negotiation import SHARED

TORNADO_REFUSAL = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # sent for an unreadable request
TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello (RFC 8446 section 5.1); no method has it
LOG_SECONDS = 60.0
TOO_LARGE = re.compile(r"Content-Length too long|chunked body too large|Body too long")

log = structlog.get_logger()


@dataclass(frozen=True)
class UnreadableRequest:
    """A request that no handler sees, and the reason; parts that could not be read are empty."""

    peer: str
    method: str
    target: str
    headers: HTTPHeaders
    status: int
    reason: str


Refuse = Callable[[UnreadableRequest], bytes]  # the body of the response, a problem


def refuse_plainly(_: UnreadableRequest) -> bytes:
    """Return an empty body, so that the status alone refuses the request."""
    return b""


def refusal_of(refuse: Refuse, peer: str, head: bytes | bytearray, fault: RequestFault) -> bytes:
    """Return the complete response to a head, perhaps incomplete, that breaks a limit."""
    request = UnreadableRequest(
        peer, *request_line(head), HTTPHeaders(), fault.status, fault.reason
    )
    return response_to(request, refuse)


def response_to(request: UnreadableRequest, refuse: Refuse) -> bytes:
    """Return the complete response to an unreadable request; the connection ends with it."""
    body = refuse(request)
    fields = {
        "Server": SERVER,
        "Content-Type": "application/problem+json",
        "Date": formatdate(usegmt=True),
        **SHARED,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        "Content-Length": str(len(body)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    start = f"HTTP/1.1 {request.status} {responses[request.status]}\r\n"
    head = f"{start}{lines}\r\n".encode("ascii")
    return head if request.method == "HEAD" else head + body


def _fault_of(reason: str) -> RequestFault:
    """Return the fault of a request that Tornado cannot read, given Tornado's reason or ours."""
    if reason == TOO_MANY_CHUNKS.reason:
        return TOO_MANY_CHUNKS
    return BODY_TOO_LARGE if TOO_LARGE.match(reason) else RequestFault(400, reason)


class FaultyHead(HTTPInputError):
    """A head that breaks a limit."""

    def __init__(self, fault: RequestFault, head: bytes) -> None:
        super().__init__(fault.reason)
        self.fault = fault
        self.head = head


class RefusingStream(AccountedStream):
    """A stream that sends the problem of `refuse` where Tornado would send a bare 400.

    After the last response the connection goes to `linger`.
    """

    def __init__(
        self, connection: socket.socket, refuse: Refuse, peer: str, linger: Linger, **options: Any
    ) -> None:
        super().__init__(connection, **options)
        self._refuse = refuse
        self._peer = peer
        self._linger = linger
        self._request: Any = None  # HTTP1Connection, for its private state
        self._has_refused = False
        self._chunks = 0
        self.seen = self._backlog.second

    @property
    def waits(self) -> bool:
        """Whether the stream waits for a request, which began at second `seen`, or its body."""
        is_answered = self._request is not None and self._request._read_finished
        return not (self.closed() or is_answered or self._has_refused or self.writing())

    def expect(self, request: HTTPConnection) -> None:
        """Note the request that Tornado is about to read; none after the end.

        Source: RFC 9112 section 9.6.
        """
        self.seen = self._backlog.second
        self._chunks = 0
        if self.closed():
            self._consume(self._read_buffer_size)
        else:
            self._request = request

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Any:
        """Read the size of a chunk, the only thing that Tornado reads in this way.

        Raises HTTPInputError after MAX_CHUNKS chunks: one-byte chunks cost a hundred times as much
        as the body that they form.
        """
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise HTTPInputError(TOO_MANY_CHUNKS.reason)
        return super().read_until(delimiter, max_bytes)

    def _signal_closed(self) -> None:
        """Release the references to this stream; Tornado calls this at the end.

        Otherwise they would keep the stream and its bytes alive until the next garbage collection.
        """
        super()._signal_closed()
        self._request = None
        if self.error is not None:
            self.error.__traceback__ = None

    def write(self, data: Any) -> Any:
        """Write bytes, or the problem of `refuse` in place of Tornado's bare 400."""
        error = sys.exception()
        if data == TORNADO_REFUSAL and isinstance(error, HTTPInputError):
            self._has_refused = True
            if isinstance(error, FaultyHead):
                data = refusal_of(self._refuse, self._peer, error.head, error.fault)
            else:
                data = self._refusal(_fault_of(str(error)))
        return super().write(data)

    def close(self, exc_info: Any = False) -> None:
        """Close the stream; first send the refusal of a body that is too slow or malformed."""
        too_slow = isinstance(sys.exception(), TimeoutError) and not exc_info
        formless = isinstance(exc_info, UnsatisfiableReadError)
        if (too_slow or formless) and self._waits_for_body():
            self._has_refused = True
            super().write(self._refusal(BODY_TOO_SLOW if too_slow else NO_CHUNK))
        super().close(exc_info)

    def _waits_for_body(self) -> bool:
        request = self._request
        return not (
            self.closed()
            or request is None
            or request._request_start_line is None
            or request._response_start_line is not None
            or request._read_finished
        )

    def _refusal(self, fault: RequestFault) -> bytes:
        line = self._request._request_start_line if self._request else None
        headers = (self._request._request_headers if self._request else None) or HTTPHeaders()
        method, target = (line.method, line.path) if line else ("", "")
        request = UnreadableRequest(self._peer, method, target, headers, fault.status, fault.reason)
        return response_to(request, self._refuse)

    def close_fd(self) -> None:
        """Close the connection; after the last response, linger until the client has closed it."""
        answered = self._request is not None and self._request._write_finished
        if (self._has_refused or answered) and self.socket is not None:
            self.settle()
            connection, self.socket = self.socket, None  # type: ignore[assignment]
            self._linger.take(connection)
        else:
            super().close_fd()


class TlsLog:
    """Logs clients that speak TLS to a port for plain HTTP, at most once a minute."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._logged_at = -LOG_SECONDS
        self._times = 0

    def note(self, peer: str) -> None:
        """Count a connection from `peer`, and log the count if a minute has passed."""
        self._times += 1
        if self._timer() - self._logged_at >= LOG_SECONDS:
            client = peer.partition("%")[0]  # without its zone id
            log.warning("tls_on_http_port", client=client, times=self._times, hint="use http://")
            self._logged_at, self._times = self._timer(), 0
