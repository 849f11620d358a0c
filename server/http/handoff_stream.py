"""The streams that Tornado reads from: of connections that are lent to it, and of its own.

Whatever Tornado may read is handed to it by `HandoffStream.read_from_fd`: the head, which is whole,
and the body. What it has read beyond that, and what has arrived meanwhile, goes back with the
connection. So nothing is lost on the way back, and a client that once asked for something else is
fast again at once.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPConnection
from tornado.iostream import UnsatisfiableReadError

from server.http.connections.head_limits import HEAD_TOO_LARGE, fault_of
from server.http.connections.lingering_close import Linger
from server.http.refusals import AnsweringStream, FaultyHead, Refuse, refusal_of

MOST_AHEAD = 16 * 1024  # bytes behind a request that are held until it has been answered

GiveBack = Callable[[socket.socket, bytes], None]


class HandoffStream(AnsweringStream):
    """A stream that ends for Tornado, but not for the client, when a request has been answered.

    `given` has been read of it already, and begins with a whole head of `head` bytes. A connection
    that changes its protocol (RFC 9110 section 7.8) stays with Tornado.
    """

    def __init__(
        self,
        connection: socket.socket,
        refuse: Refuse,
        peer: str,
        linger: Linger,
        *,
        given: bytes,
        head: int,
        give_back: GiveBack,
        **options: Any,
    ) -> None:
        super().__init__(connection, refuse, peer, linger, **options)
        self._given = given
        self._left_of_head = head
        self._give_back = give_back
        self._is_deaf = self._has_ended = self._returns = False

    def expect(self, request: HTTPConnection) -> None:
        """Note the request that Tornado is about to read; one behind it is not for Tornado."""
        if self._request is not None:
            read = self._consume(self._read_buffer_size)
            self._given = (read[:-1] if self._is_deaf else read) + self._given
            self._returns = not self.closed()
            self.close()
        super().expect(request)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what there is of this request; None while there is nothing, 0 at the end."""
        if self._has_refused:
            return self._look_ahead(buf)
        if self._request is not None and self._request.stream is not None:
            if self._request._read_finished:
                return self._look_ahead(buf)
            if not self.reading():  # Tornado rests in the middle of a body
                return None
        return self._take(buf) if self._given else super().read_from_fd(buf)

    def _take(self, buf: bytearray | memoryview) -> int:
        count = min(len(buf), self._left_of_head or len(self._given))
        buf[:count] = self._given[:count]
        self._given = self._given[count:]
        self._left_of_head = max(self._left_of_head - count, 0)
        return count

    def _look_ahead(self, buf: bytearray | memoryview) -> int | None:
        """Hold what the client sends before it has its answer, unless that is the last one.

        A client that closes its half has not gone: it is answered. Only if it listens to an endless
        stream, behind which nothing is ever answered, it is taken to have gone.
        """
        if self._is_deaf:
            return None
        count = super().read_from_fd(buf)
        if count is None:
            return None
        if self._is_endless():
            return None if count else 0
        self._has_ended = not count
        if self._request._disconnect_on_finish or self._has_refused:
            self._given = b""
        else:
            self._given += bytes(buf[:count])
            if count and len(self._given) <= MOST_AHEAD:
                return None
        self._is_deaf = True
        return 1  # byte, which Tornado never takes: it listens no more when it has one

    def write(self, data: Any) -> Any:
        """Send bytes; once they are those of an endless stream, notice the client's end at once.

        Nothing that has arrived behind the request is kept for as long as the stream may last.
        """
        written = super().write(data)
        if not self._is_endless():
            return written
        self._given = b""
        if self._is_deaf:
            self._consume(self._read_buffer_size)
            self._is_deaf = False
            resume = self.close if self._has_ended else self._maybe_add_error_listener
            self.io_loop.add_callback(resume)
        return written

    def _is_endless(self) -> bool:
        """Whether an answer has begun that has no length, as event streams."""
        asked = self._request
        line = asked and asked._response_start_line  # there is no request once a client has reset
        has_content = line is not None and line.code >= 200 and line.code != 204
        endless = has_content and asked._expected_content_remaining is None
        return endless and not asked._write_finished

    def close_fd(self) -> None:
        """Close the connection, or give it back."""
        if not self._returns:
            super().close_fd()
            return
        self.settle()
        connection, self.socket = self.socket, None  # type: ignore[assignment]
        self.io_loop.add_callback(self._give_back, connection, self._given)


class OwnStream(AnsweringStream):
    """A stream of a connection that Tornado has accepted itself, with the limits of the lane."""

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Any:
        """Read a head."""
        return asyncio.ensure_future(self._read_head(regex, max_bytes))

    async def _read_head(self, regex: bytes, max_bytes: int | None) -> bytes:
        head = await super().read_until_regex(regex, max_bytes)
        if fault := fault_of(head):
            raise FaultyHead(fault, head)
        return head

    def close(self, exc_info: Any = False) -> None:
        """Close the stream, and say so if a head is too large."""
        if isinstance(exc_info, UnsatisfiableReadError) and self._read_regex is not None:
            self._has_refused = True
            head = self._read_buffer
            fault = fault_of(head) or HEAD_TOO_LARGE
            self.write(refusal_of(self._refuse, self._peer, head, fault))
        super().close(exc_info)
