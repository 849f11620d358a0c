"""Tornado's server, to which a connection is lent for one request, and which gives it back."""

import socket
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

from server.http.connections.handoff_queue import Turns, Waiting
from server.http.connections.head_limits import Fault
from server.http.connections.lingering_close import Linger
from server.http.connections.unsent import Backlog
from server.http.handoff_stream import MOST_AHEAD, GiveBack, HandoffStream, OwnStream
from server.http.refusals import AnsweringStream, Refuse, refusal_of, refuse_plainly


class HandoffServer(HTTPServer):
    """Tornado's server for connections that are lent to it; it need not listen itself.

    `refuse` gives the answer to a request that Tornado cannot read. `backlog` is the account of
    what clients have yet to take. `turns` are taken by client.
    """

    backlog: Backlog

    def initialize(
        self,
        *args: Any,
        refuse: Refuse = refuse_plainly,
        backlog: Backlog | None = None,
        turns: Turns | None = None,
        **options: Any,
    ) -> None:
        """Called by Tornado in place of a constructor."""
        super().initialize(*args, **options)
        # No form here has parts. Their headers can name charsets, which Python looks for in the
        # file system and remembers for good. Tornado has this setting for the process alone.
        set_parse_body_config(ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False)))
        self.backlog = Backlog() if backlog is None else backlog
        self._refuse = refuse
        self.turns = Turns() if turns is None else turns
        self.linger = Linger()

    def lend(
        self,
        connection: socket.socket,
        address: Any,
        network: str,
        given: bytes,
        head: int,
        back: GiveBack,
    ) -> None:
        """Let Tornado answer one request, whose head is the first `head` bytes of `given`."""
        begin = partial(self._begin, connection, address, given, head, back)
        self.turns.add(network, Waiting(connection, len(given), begin))

    def _begin(
        self, connection: socket.socket, address: Any, given: bytes, head: int, back: GiveBack
    ) -> None:
        """Let Tornado answer, now that it is this request's turn."""
        stream = HandoffStream(
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
