"""Tornado's server, which answers one request of a connection and then returns the connection."""

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

from server.http.connections.backlog import Backlog
from server.http.connections.handoff_queue import HandoffQueue, QueuedRequest
from server.http.connections.head_limits import RequestFault
from server.http.connections.lingering_close import Linger
from server.http.handoff_stream import MAX_AHEAD_BYTES, DirectStream, GiveBack, HandoffStream
from server.http.refusals import Refuse, RefusingStream, refusal_of, refuse_plainly


class HandoffServer(HTTPServer):
    """Tornado's server for connections of the fast lane; it can also listen itself.

    `refuse` returns the body of the response to a request that Tornado cannot read. `backlog`
    counts the bytes that clients have not taken yet. `queue` decides which client's request begins
    next.
    """

    backlog: Backlog

    def initialize(
        self,
        *args: Any,
        refuse: Refuse = refuse_plainly,
        backlog: Backlog | None = None,
        queue: HandoffQueue | None = None,
        **options: Any,
    ) -> None:
        """Set up the server; Tornado calls this in place of a constructor."""
        super().initialize(*args, **options)
        # No route takes multipart forms. Headers of their parts can name charsets, which Python
        # looks up in the file system and caches for ever. Tornado has this setting per process.
        set_parse_body_config(ParseBodyConfig(multipart=ParseMultipartConfig(enabled=False)))
        self.backlog = Backlog() if backlog is None else backlog
        self._refuse = refuse
        self.queue = HandoffQueue() if queue is None else queue
        self.linger = Linger()

    @property
    def has_connections(self) -> bool:
        """Whether Tornado has a connection, perhaps with a head that it has not parsed yet."""
        return bool(self._connections)

    def hand_off(
        self,
        connection: socket.socket,
        address: Any,
        network: str,
        received: bytes,
        head: int,
        back: GiveBack,
    ) -> None:
        """Let Tornado answer one request, whose head is the first `head` bytes of `received`.

        `network` is the client's network, by which requests take turns. `back(socket, bytes)`
        receives the connection afterwards, with the bytes that were read after the request.
        """
        begin = partial(self._begin, connection, address, received, head, back)
        self.queue.add(network, QueuedRequest(connection, len(received), begin))

    def _begin(
        self, connection: socket.socket, address: Any, received: bytes, head: int, back: GiveBack
    ) -> None:
        """Let Tornado answer a request that has reached the front of the queue."""
        stream = HandoffStream(
            connection,
            self._refuse,
            address[0],
            self.linger,
            received=received,
            head=head,
            give_back=back,
            backlog=self.backlog,
            max_buffer_size=self.max_buffer_size,
            read_chunk_size=MAX_AHEAD_BYTES,
        )
        self.handle_stream(stream, address)

    def refusal(self, peer: str, head: bytes, fault: RequestFault) -> bytes:
        """Return the complete response to a head that breaks a limit."""
        return refusal_of(self._refuse, peer, head, fault)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection, also one that Tornado has accepted itself."""
        if not isinstance(stream, RefusingStream):
            limits = {
                "max_buffer_size": self.max_buffer_size,
                "read_chunk_size": self.read_chunk_size,
                "backlog": self.backlog,
            }
            stream = DirectStream(stream.socket, self._refuse, address[0], self.linger, **limits)
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Note the request that Tornado is about to read."""
        stream = getattr(server_conn, "stream", None)
        if isinstance(stream, RefusingStream):
            stream.expect(request_conn)
        return super().start_request(server_conn, request_conn)

    def make_room(self, count: int) -> int:
        """Close up to `count` connections that wait for a request or its body, oldest first.

        Returns how many were closed.
        """
        streams = [each.stream for each in self._connections if each.stream is not None]
        waiting = [each for each in streams if isinstance(each, RefusingStream) and each.waits]
        chosen = sorted(waiting, key=lambda each: each.seen)[:count]
        for each in chosen:
            self.backlog.on_close("descriptors")
            each.close()
        return len(chosen)

    async def close_all_connections(self) -> None:
        """Close every connection that Tornado has, that is queued, or that lingers."""
        self.queue.close()
        await super().close_all_connections()
        self.linger.close()
