"""`/api/events`: the journal as server-sent events.

Source: html.spec.whatwg.org, section 9.2.
"""

import socket
from typing import Any

import structlog

from handlers.base import BaseHandler
from server.catalog.journal import LAST_EVENT_ID, EventsQuery, parse_events_query
from server.config.addresses import client_network
from server.serving.payload import links
from server.serving.streams.broadcast import Broadcast
from server.serving.streams.follower import Follower

KEEPALIVE_SECONDS = 15.0  # without events until a comment is sent, so that proxies keep the stream
SEND_SECONDS = 30.0  # that a client may take to receive one portion
RETRY_MILLISECONDS = 5000
SEND_BUFFER = 64 * 1024  # bytes in the kernel, which would otherwise grow to megabytes per stream

log = structlog.get_logger()


class EventsHandler(BaseHandler):
    """Streams changes until the client disconnects or stops reading.

    Events are sent only after the kernel has taken those before, so the memory of a stream is
    bounded by `follower.PAGE_BYTES`.
    """

    _follower: Follower | None = None

    def initialize(  # type: ignore[override]
        self,
        broadcast: Broadcast,
        keepalive: float = KEEPALIVE_SECONDS,
        send_timeout: float = SEND_SECONDS,
        root: str = "",
    ) -> None:
        """Take the broadcast from the routes; both times are in seconds."""
        super().initialize(root)
        self._broadcast = broadcast
        self._keepalive = keepalive
        self._send_timeout = send_timeout

    def head(self) -> None:
        """Send the headers of a stream. Raises InvalidParameters."""
        self._parameters()
        self._set_headers()
        self.flush()

    async def get(self) -> None:
        """Stream changes until the client or the server ends the stream.

        Raises InvalidParameters, or what `Broadcast.follow` raises.
        """
        parameters = self._parameters()
        self._follower = follower = await self._broadcast.follow(
            parameters.after, client=self._client, unnamed=bool(parameters.unnamed)
        )
        try:
            await self._stream(follower)
        finally:
            follower.leave()
        if follower.evicted:
            self.finish()
            self._close()

    def on_connection_close(self) -> None:
        """Remove the follower of a client that has disconnected."""
        if self._follower is not None:
            self._follower.leave()

    @property
    def _client(self) -> str:
        """The network whose limit the stream counts towards."""
        return client_network(self.request.remote_ip or "")

    def _parameters(self) -> EventsQuery:
        return parse_events_query(self.request.query, self.request.headers.get(LAST_EVENT_ID))

    async def _stream(self, follower: Follower) -> None:
        """Send the current position as a bare id, and then events until the stream ends.

        A client that is disconnected early knows its position from that id. It is the requested
        position even where the journal no longer reaches it: only the reset event that follows
        moves the client on, so that it cannot miss the reset.
        """
        self._set_headers()
        self._forget_request()
        connection: Any = self.request.connection
        if not connection.stream.closed():
            connection.stream.set_nodelay(True)
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        content = f"retry: {RETRY_MILLISECONDS}\nid: {follower.position}\n\n".encode()
        while await self._send(follower, content):
            content = await follower.next(self._keepalive) or b":\n\n"

    def _forget_request(self) -> None:
        """Free the memory of the request, which would be held as long as the stream is open."""
        self.request.headers.clear()
        self.request.query_arguments.clear()
        self.request.arguments.clear()
        self.request.query = ""

    async def _send(self, follower: Follower, content: bytes) -> bool:
        """Send a portion and return True; return False once the stream has ended."""
        if follower.is_over:
            return False
        self.write(content)
        written = self.flush()
        if await follower.wait_for(written, self._send_timeout):
            return written.exception() is None
        if not follower.is_over:
            log.info("listener_dropped", request_id=self.request_id, seconds=self._send_timeout)
        self._close()  # Tornado would wait for the client to receive the rest
        return False

    def _close(self) -> None:
        connection: Any = self.request.connection
        connection.stream.close()

    def _set_headers(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # so that nginx does not buffer events
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Link", links(self._root))
        self.set_all(self._broadcast.quota_headers(self._client))
