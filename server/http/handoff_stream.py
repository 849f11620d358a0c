"""The streams that Tornado reads from: of handed-off connections, and of its own.

`HandoffStream.read_from_fd` passes Tornado the bytes of one request: the complete head, which was
read already, and the body. Bytes that follow return with the connection. So pipelined requests are
not lost, and the connection is back in the fast lane at once.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPConnection
from tornado.iostream import UnsatisfiableReadError

from server.http.connections.head_limits import HEAD_TOO_LARGE, fault_of
from server.http.connections.lingering_close import Linger
from server.http.refusals import FaultyHead, Refuse, RefusingStream, refusal_of

MAX_AHEAD_BYTES = 16 * 1024  # bytes after a request that are held until it has been answered

GiveBack = Callable[[socket.socket, bytes], None]


class HandoffStream(RefusingStream):
    """A stream that ends for Tornado, but not for the client, after one request.

    `received` are the bytes that were read already; they begin with a complete head of `head`
    bytes. A connection that changes its protocol (RFC 9110 section 7.8) stays with Tornado.
    """

    def __init__(
        self,
        connection: socket.socket,
        refuse: Refuse,
        peer: str,
        linger: Linger,
        *,
        received: bytes,
        head: int,
        give_back: GiveBack,
        **options: Any,
    ) -> None:
        super().__init__(connection, refuse, peer, linger, **options)
        self._received = received
        self._left_of_head = head
        self._give_back = give_back
        self._is_full = self._has_ended = self._returns = False

    def expect(self, request: HTTPConnection) -> None:
        """Note the request that Tornado is about to read; before a second one, give back."""
        if self._request is not None:
            read = self._consume(self._read_buffer_size)
            self._received = (read[:-1] if self._is_full else read) + self._received
            self._returns = not self.closed()
            self.close()
        super().expect(request)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read bytes of this request into `buf`; return their number, None if there are none yet.

        Returns 0 at the end of the connection.
        """
        if self._has_refused:
            return self._look_ahead(buf)
        if self._request is not None and self._request.stream is not None:
            if self._request._read_finished:
                return self._look_ahead(buf)
            if not self.reading():  # Tornado has paused in the middle of a body
                return None
        return self._take(buf) if self._received else super().read_from_fd(buf)

    def _take(self, buf: bytearray | memoryview) -> int:
        count = min(len(buf), self._left_of_head or len(self._received))
        buf[:count] = self._received[:count]
        self._received = self._received[count:]
        self._left_of_head = max(self._left_of_head - count, 0)
        return count

    def _look_ahead(self, buf: bytearray | memoryview) -> int | None:
        """Hold what the client sends before its response is complete.

        After the last response of a connection it is discarded. A client that half-closes its
        connection still gets its response. Only an endless stream, after which no request is
        answered, ends with that.
        """
        if self._is_full:
            return None
        count = super().read_from_fd(buf)
        if count is None:
            return None
        if self._is_endless():
            return None if count else 0
        self._has_ended = not count
        if self._request._disconnect_on_finish or self._has_refused:
            self._received = b""
        else:
            self._received += bytes(buf[:count])
            if count and len(self._received) <= MAX_AHEAD_BYTES:
                return None
        self._is_full = True
        return 1  # byte, which Tornado never consumes: while it is buffered, Tornado does not read

    def write(self, data: Any) -> Any:
        """Send bytes; from the start of an endless stream on, detect a disconnection at once.

        Bytes that follow the request are then discarded, because the stream may last for hours.
        """
        written = super().write(data)
        if not self._is_endless():
            return written
        self._received = b""
        if self._is_full:
            self._consume(self._read_buffer_size)
            self._is_full = False
            resume = self.close if self._has_ended else self._maybe_add_error_listener
            self.io_loop.add_callback(resume)
        return written

    def _is_endless(self) -> bool:
        """Return whether a response without a length has started, such as an event stream."""
        request = self._request
        line = request and request._response_start_line  # None after a reset
        has_content = line is not None and line.code >= 200 and line.code != 204
        endless = has_content and request._expected_content_remaining is None
        return endless and not request._write_finished

    def close_fd(self) -> None:
        """Close the connection, or return it to the fast lane."""
        if not self._returns:
            super().close_fd()
            return
        self.settle()
        connection, self.socket = self.socket, None  # type: ignore[assignment]
        self.io_loop.add_callback(self._give_back, connection, self._received)


class DirectStream(RefusingStream):
    """A stream of a connection that Tornado accepted itself, with the limits of the fast lane."""

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Any:
        """Read a head. The future raises FaultyHead if the head breaks a limit."""
        return asyncio.ensure_future(self._read_head(regex, max_bytes))

    async def _read_head(self, regex: bytes, max_bytes: int | None) -> bytes:
        head = await super().read_until_regex(regex, max_bytes)
        if fault := fault_of(head):
            raise FaultyHead(fault, head)
        return head

    def close(self, exc_info: Any = False) -> None:
        """Close the stream; send the refusal first if a head is too large."""
        if isinstance(exc_info, UnsatisfiableReadError) and self._read_regex is not None:
            self._has_refused = True
            head = self._read_buffer
            fault = fault_of(head) or HEAD_TOO_LARGE
            self.write(refusal_of(self._refuse, self._peer, head, fault))
        super().close(exc_info)
