"""Tornado's server, to which a connection is lent for one request, and gives it back after.

Whatever Tornado may read is handed to it by `LentStream.read_from_fd`, and never beyond the request
it was lent for. So nothing is lost on the way back, and a client that once asked for something else
is fast again at once.
"""

import re
import socket
from collections.abc import Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.iostream import IOStream

from server.lane.refusal import TLS_HANDSHAKE, AnsweringStream, Refuse, TlsLog, refuse_plainly

END_OF_HEAD = re.compile(rb"\r?\n\r?\n")  # as Tornado sees it
BODY = re.compile(rb"content-length|transfer-encoding", re.IGNORECASE)
MOST_AHEAD = 64 * 1024  # bytes behind a request that are held until it has been answered

GiveBack = Callable[[socket.socket, bytes], None]


class LentStream(AnsweringStream):
    """A stream that ends for Tornado, but not for the client, when a request has been answered.

    `given` has been read of it already. A request that might have a body is not counted to its end
    here, so with one Tornado keeps the connection.
    """

    def __init__(
        self,
        connection: socket.socket,
        refuse: Refuse,
        peer: str,
        *,
        given: bytes,
        give_back: GiveBack,
        **options: Any,
    ) -> None:
        super().__init__(connection, refuse, peer, **options)
        self._given = given
        self._give_back = give_back
        self._head: bytearray | None = bytearray()
        self._begun = self._is_kept = self._is_deaf = self._returns = False

    def begin(self) -> None:
        """Tornado is about to read a request: its first, or one that is not for it any more."""
        if self._begun and not self._is_kept:
            self._returns = True
            self.close()
        self._begun = True

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what there is of this request; None while there is nothing, 0 at the end."""
        if self._is_kept:
            return self._take(buf) if self._given else super().read_from_fd(buf)
        if self._head is None:
            return self._look_ahead(buf)
        count = self._take(buf) if self._given else super().read_from_fd(buf)
        if count:
            count = self._cut(buf, count, self._head)
        return count

    def _take(self, buf: bytearray | memoryview) -> int:
        count = min(len(buf), len(self._given))
        buf[:count] = self._given[:count]
        self._given = self._given[count:]
        return count

    def _cut(self, buf: bytearray | memoryview, count: int, head: bytearray) -> int:
        """Keep back what lies behind the end of the head."""
        known = len(head)
        head += buf[:count]
        end = END_OF_HEAD.search(head, max(known - 3, 0))
        if end is not None:
            self._is_kept = BODY.search(head, 0, end.end()) is not None
            self._given = bytes(head[end.end() :]) + self._given
            self._head = None
            return end.end() - known
        return count

    def _look_ahead(self, buf: bytearray | memoryview) -> int | None:
        """Hold what the client sends before it has its answer.

        A client that ends what it says behind further requests has not gone: they are answered.
        """
        if self._is_deaf or self.reading():  # what Tornado reads is the head, which is whole
            return None
        count = super().read_from_fd(buf)
        if count is None:
            return None
        self._given += bytes(buf[:count])
        if count and len(self._given) <= MOST_AHEAD:
            return None
        if not self._given:
            return 0
        self._is_deaf = True
        return 1  # byte, which Tornado never takes: it listens no more when it has one

    def close_fd(self) -> None:
        """Close the connection, or give it back."""
        if not self._returns:
            super().close_fd()
            return
        connection, self.socket = self.socket, None  # type: ignore[assignment]
        self.io_loop.add_callback(self._give_back, connection, self._given)


class LendingServer(HTTPServer):
    """Tornado's server for connections that are lent to it; it need not listen itself.

    `refuse` gives the answer to a request that Tornado cannot read.
    """

    def initialize(self, *args: Any, refuse: Refuse = refuse_plainly, **options: Any) -> None:
        """Called by Tornado in place of a constructor."""
        super().initialize(*args, **options)
        self._refuse = refuse
        self._tls = TlsLog()

    def lend(self, connection: socket.socket, address: Any, given: bytes, back: GiveBack) -> None:
        """Let Tornado answer one request, of which `given` has been read already."""
        if given.startswith(TLS_HANDSHAKE):
            self._tls.note(address[0])
            connection.close()
            return
        stream = LentStream(
            connection,
            self._refuse,
            address[0],
            given=given,
            give_back=back,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=self.read_chunk_size,
        )
        self.handle_stream(stream, address)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection, also one that Tornado has accepted itself."""
        if not isinstance(stream, AnsweringStream):
            limits = {
                "max_buffer_size": self.max_buffer_size,
                "read_chunk_size": self.read_chunk_size,
            }
            stream = AnsweringStream(stream.socket, self._refuse, address[0], **limits)
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Called by Tornado before it reads a request."""
        stream = getattr(server_conn, "stream", None)
        if isinstance(stream, LentStream):
            stream.begin()
        if isinstance(stream, AnsweringStream):
            stream.expect(request_conn)
        return super().start_request(server_conn, request_conn)
