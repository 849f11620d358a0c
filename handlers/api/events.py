"""`/api/events`: the journal as server-sent events (html.spec.whatwg.org, section 9.2)."""

import socket
from typing import Any

import structlog

from handlers.base import BaseHandler
from server.catalog.change_event import LAST_EVENT_ID, EventsQuery, asked
from server.config.addresses import client_network
from server.serving.payload import links
from server.serving.streams.broadcast import Broadcast
from server.serving.streams.follower import Follower

BEAT_SECONDS = 15.0  # after so long a silence, a comment shows proxies that the stream is alive
PATIENCE_SECONDS = 30.0  # so long a listener may take for what it was sent last
RETRY_MILLISECONDS = 5000
SEND_BUFFER = 64 * 1024  # bytes in the kernel, which would else grow to megabytes a listener

log = structlog.get_logger()


class EventsHandler(BaseHandler):
    """Streams changes for as long as the client listens, and reads.

    The next events are only sent when those before have gone, so that what waits for a client is
    bounded by `follower.PAGE_BYTES`.
    """

    _follower: Follower | None = None

    def initialize(  # type: ignore[override]
        self,
        broadcast: Broadcast,
        beat: float = BEAT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        root: str = "",
    ) -> None:
        """Take the broadcast from the wiring."""
        super().initialize(root)
        self._broadcast = broadcast
        self._beat = beat
        self._patience = patience

    def head(self) -> None:
        """The headers of a stream."""
        self._asked()
        self._set_headers()
        self.flush()

    async def get(self) -> None:
        """Stream until either side goes."""
        wanted = self._asked()
        unnamed = bool(wanted.unnamed)
        client = client_network(self.request.remote_ip or "")
        self._follower = follower = await self._broadcast.follow(
            wanted.after, client=client, unnamed=unnamed
        )
        try:
            await self._tell(follower)
        finally:
            follower.leave()
        if follower.evicted:
            self.finish()
            self._close()

    def on_connection_close(self) -> None:
        """The client has gone."""
        if self._follower is not None:
            self._follower.leave()

    def _asked(self) -> EventsQuery:
        return asked(self.request.query, self.request.headers.get(LAST_EVENT_ID))

    async def _tell(self, follower: Follower) -> None:
        """Begin with a bare id, so that a client that is cut off early knows its place already.

        It is the place that was asked for, even if that is out of reach: only the reset that
        follows moves it, so a client cannot be cut off in between and miss the reset.
        """
        self._set_headers()
        self._forget_request()
        connection: Any = self.request.connection
        if not connection.stream.closed():
            connection.stream.set_nodelay(True)
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        content = b"retry: %d\nid: %d\n\n" % (RETRY_MILLISECONDS, follower.position)
        while await self._sent(follower, content):
            content = await follower.next(self._beat) or b":\n\n"

    def _forget_request(self) -> None:
        """Drop what the request has said: as long as the stream is open, it would be kept."""
        self.request.headers.clear()
        self.request.query_arguments.clear()
        self.request.arguments.clear()
        self.request.query = ""

    async def _sent(self, follower: Follower, content: bytes) -> bool:
        """Send something, unless it is over; whether to go on."""
        if follower.over:
            return False
        self.write(content)
        written = self.flush()
        if await follower.settled(written, self._patience):
            return written.exception() is None
        if not follower.over:
            log.info("listener_dropped", request_id=self.request_id, seconds=self._patience)
        self._close()  # what it has not taken would else hold up the end
        return False

    def _close(self) -> None:
        connection: Any = self.request.connection
        connection.stream.close()

    def _set_headers(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # or nginx would hold events back
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Link", links(self._root))
