"""What no handler sees: requests that Tornado cannot read, and TLS on a port for plain HTTP."""

import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.client import responses
from typing import Any

import structlog
from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPInputError
from tornado.iostream import IOStream

from server.catalog.negotiation import SHARED
from server.lane.answer import SERVER

BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # what Tornado sends to a request that it cannot read
TLS_HANDSHAKE = b"\x16"  # the first byte of a ClientHello (RFC 8446 section 5.1); no method has it
TELL_SECONDS = 60.0
LAST_BYTES = 64 * 1024

log = structlog.get_logger()


@dataclass(frozen=True)
class Unreadable:
    """A request that Tornado refused, with its reason; what it could not read is empty."""

    peer: str
    method: str
    target: str
    headers: HTTPHeaders
    reason: str


Refuse = Callable[[Unreadable], tuple[int, bytes]]  # status and body, a problem


def refuse_plainly(_: Unreadable) -> tuple[int, bytes]:
    """Refuse with a status alone."""
    return 400, b""


class AnsweringStream(IOStream):
    """A stream on which `refuse` gives the answer to what Tornado cannot read."""

    def __init__(
        self, connection: socket.socket, refuse: Refuse, peer: str, **options: Any
    ) -> None:
        super().__init__(connection, **options)
        self._refuse = refuse
        self._peer = peer
        self._request: HTTPConnection | None = None
        self._has_refused = False

    def expect(self, request: HTTPConnection) -> None:
        """Note which request Tornado is about to read."""
        self._request = request

    def write(self, data: Any) -> Any:
        """Write bytes, or the answer that `refuse` gives in place of Tornado's bare one."""
        error = sys.exception()
        if data == BARE and isinstance(error, HTTPInputError):
            self._has_refused = True
            data = self._refusal(str(error))
        return super().write(data)

    def _refusal(self, reason: str) -> bytes:
        line = getattr(self._request, "_request_start_line", None)
        headers = getattr(self._request, "_request_headers", None) or HTTPHeaders()
        method, target = (line.method, line.path) if line else ("", "")
        status, body = self._refuse(Unreadable(self._peer, method, target, headers, reason))
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
        head = f"HTTP/1.1 {status} {responses[status]}\r\n{lines}\r\n".encode("ascii")
        return head if method == "HEAD" else head + body

    def close_fd(self) -> None:
        """Close the connection; what is left unread would take a refusal with it."""
        if self._has_refused and self.socket is not None:
            with suppress(OSError):
                self.socket.recv(LAST_BYTES)
        super().close_fd()


class TlsLog:
    """Tells of clients that speak TLS to a port for plain HTTP, once a minute at most."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._told = -TELL_SECONDS
        self._times = 0

    def note(self, peer: str) -> None:
        """Count one more."""
        self._times += 1
        if self._timer() - self._told >= TELL_SECONDS:
            log.warning("tls_on_http_port", client=peer, times=self._times, hint="use http://")
            self._told, self._times = self._timer(), 0
