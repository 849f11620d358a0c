"""Tornado's server, to which a connection is lent for one request, and gives it back after.

Whatever Tornado may read is handed to it by `LentStream.read_from_fd`: the head, which is whole,
and the body. What it has read beyond that, and what has arrived meanwhile, goes back with the
connection. So nothing is lost on the way back, and a client that once asked for something else is
fast again at once.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPMessageDelegate,
    ParseBodyConfig,
    ParseMultipartConfig,
    set_parse_body_config,
)
from tornado.iostream import IOStream

from server.lane.backlog import Backlog
from server.lane.limits import Fault
from server.lane.linger import Linger
from server.lane.refusal import (
    TLS_HANDSHAKE,
    AnsweringStream,
    OwnStream,
    Refuse,
    TlsLog,
    refusal_of,
    refuse_plainly,
)
from server.lane.turns import Turns, Waiting

MOST_AHEAD = 16 * 1024  # bytes behind a request that are held until it has been answered

GiveBack = Callable[[socket.socket, bytes], None]


class LentStream(AnsweringStream):
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
        self._is_deaf = self._returns = False

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

        A client that closes its half has not gone: it is answered. Only if it listens to a stream
        without an end, and has asked for nothing else, it is taken to have gone.
        """
        if self._is_deaf:
            return None
        count = super().read_from_fd(buf)
        if count is None:
            return None
        if not count and not self._given and self._is_streaming():
            return 0
        if self._request._disconnect_on_finish or self._has_refused:
            self._given = b""
        else:
            self._given += bytes(buf[:count])
            if count and len(self._given) <= MOST_AHEAD:
                return None
        self._is_deaf = True
        return 1  # byte, which Tornado never takes: it listens no more when it has one

    def _is_streaming(self) -> bool:
        """Whether an answer has begun, and is not written to its end."""
        begun = self._request._response_start_line is not None
        return begun and not self._request._write_finished

    def close_fd(self) -> None:
        """Close the connection, or give it back."""
        if not self._returns:
            super().close_fd()
            return
        self.settle()
        connection, self.socket = self.socket, None  # type: ignore[assignment]
        self.io_loop.add_callback(self._give_back, connection, self._given)


class LendingServer(HTTPServer):
    """Tornado's server for connections that are lent to it; it need not listen itself.

    `refuse` gives the answer to a request that Tornado cannot read. `backlog` is the account of
    what clients have yet to take.
    """

    backlog: Backlog

    def initialize(
        self,
        *args: Any,
        refuse: Refuse = refuse_plainly,
        backlog: Backlog | None = None,
        **options: Any,
    ) -> None:
        """Called by Tornado in place of a constructor."""
        super().initialize(*args, **options)
        # No form here has parts. Their headers can name charsets, which Python looks for in the
        # file system and remembers for good. Tornado has this setting for the process alone.
        set_parse_body_config(ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False)))
        self.backlog = Backlog() if backlog is None else backlog
        self._refuse = refuse
        self._tls = TlsLog()
        self.turns = Turns()
        self.linger = Linger()

    def lend(
        self, connection: socket.socket, address: Any, given: bytes, head: int, back: GiveBack
    ) -> None:
        """Let Tornado answer one request, whose head is the first `head` bytes of `given`."""
        if given.startswith(TLS_HANDSHAKE):
            self._tls.note(address[0])
            connection.close()
            return
        begin = partial(self._begin, connection, address, given, head, back)
        self.turns.add(address[0], Waiting(connection, len(given), begin))

    def _begin(
        self, connection: socket.socket, address: Any, given: bytes, head: int, back: GiveBack
    ) -> None:
        """Let Tornado answer, now that it is this request's turn."""
        stream = LentStream(
            connection,
            self._refuse,
            address[0],
            self.linger,
            given=given,
            head=head,
            give_back=back,
            backlog=self.backlog,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=MOST_AHEAD,
        )
        self.handle_stream(stream, address)

    def refusal(self, peer: str, head: bytes, fault: Fault) -> bytes:
        """Return the answer to a head that breaks a limit."""
        return refusal_of(self._refuse, peer, head, fault)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection, also one that Tornado has accepted itself."""
        if not isinstance(stream, AnsweringStream):
            limits = {
                "max_buffer_size": self.max_buffer_size,
                "read_chunk_size": self.read_chunk_size,
                "backlog": self.backlog,
            }
            stream = OwnStream(stream.socket, self._refuse, address[0], self.linger, **limits)
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Called by Tornado before it reads a request."""
        stream = getattr(server_conn, "stream", None)
        if isinstance(stream, AnsweringStream):
            stream.expect(request_conn)
        return super().start_request(server_conn, request_conn)

    def make_room(self, count: int) -> int:
        """Close up to `count` connections that wait for a request or its body, oldest first."""
        streams = [each.stream for each in self._connections if each.stream is not None]
        waiting = [each for each in streams if isinstance(each, AnsweringStream) and each.waits]
        chosen = sorted(waiting, key=lambda each: each.seen)[:count]
        for each in chosen:
            self.backlog.tell("descriptors")
            each.close()
        return len(chosen)

    async def close_all_connections(self) -> None:
        """Close every connection that is lent, waits for that, or lingers."""
        self.turns.close()
        await super().close_all_connections()
        self.linger.close()
