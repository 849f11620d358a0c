"""The HTTP server: listens, counts the requests in flight, and drains them before it closes."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPInputError, HTTPMessageDelegate, HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from server.config.memory_budget import DEFAULT, MemoryBudget
from server.http.connections import sockets
from server.http.connections.acceptor import Acceptor
from server.http.connections.backlog import Backlog
from server.http.connections.handoff_queue import HandoffQueue
from server.http.connections.head_limits import (
    BODY_SECONDS,
    IDLE_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
)
from server.http.connections.incomplete_bodies import IncompleteBodies
from server.http.fast_lane import FastLane
from server.http.forwarded import TrustedProxies
from server.http.handoff import HandoffServer
from server.http.head_cache import HeadCache
from server.http.refusals import Refuse, refuse_plainly
from server.http.wire_response import WireResponse
from server.observability.access_log import AccessLog
from server.serving.deprecations import Deprecations

KERNEL_BYTES = 128 * 1024  # unsent bytes per connection in the kernel; Linux's default is 4 MB
MAX_ABSOLUTE_TARGET = 1024  # characters; urlsplit() caches the last 128 addresses
BODY_HEADERS = frozenset({"Content-Length", "Transfer-Encoding"})
DRAIN_SECONDS = 4.0
DRAIN_STEP = 0.02
LAST_CALL_SECONDS = 0.25  # at shutdown, for requests that are already on their way


class CountingApplication(Application):
    """Tornado's application, with a count of the requests that are being answered.

    `proxies` decides whose X-Forwarded-* headers are trusted; `bodies` bounds the requests whose
    body is still arriving.
    """

    in_flight = 0

    def __init__(
        self, proxies: TrustedProxies, bodies: IncompleteBodies, *args: Any, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._proxies = proxies
        self.bodies = bodies

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return the handler of a request, also if its target is in absolute form.

        Corrects the request's client address first. Raises HTTPInputError for an invalid target.
        Source: RFC 9112 section 3.2.2.
        """
        self._proxies.correct(request)
        if not request.path.startswith("/"):
            request.path = _path_of(request.path)
        if "," in (options := request.headers.get("Connection", "")):
            self._obey_close(request, options)
        return _CountedRequest(super().find_handler(request, **kwargs), self, request)

    def _obey_close(self, request: HTTPServerRequest, options: str) -> None:
        """Close after the response if `close` is one of several options (RFC 9112 section 9.6)."""
        if "close" in {each.strip().lower() for each in options.split(",")}:
            request.connection._disconnect_on_finish = True  # type: ignore[union-attr]

    def log_request(self, handler: RequestHandler) -> None:
        """Count a request as answered, and log it."""
        self.in_flight -= 1
        super().log_request(handler)


class _CountedRequest(HTTPMessageDelegate):
    """The delegate of one request, which counts as in flight once all of it has arrived."""

    def __init__(
        self,
        delegate: HTTPMessageDelegate,
        application: CountingApplication,
        request: HTTPServerRequest,
    ) -> None:
        self._delegate = delegate
        self._application = application
        self._connection = request.connection
        if not BODY_HEADERS.isdisjoint(request.headers):
            application.bodies.begin(self._connection)
        self.headers_received = delegate.headers_received  # type: ignore[method-assign]
        self.data_received = delegate.data_received  # type: ignore[method-assign]

    def on_connection_close(self) -> None:
        """Stop counting the body of a client that has disconnected."""
        self._application.bodies.end(self._connection)
        self._delegate.on_connection_close()

    def finish(self) -> None:
        """Count the request as in flight; from here on Tornado calls `log_request`."""
        self._application.bodies.end(self._connection)
        self._application.in_flight += 1
        self._delegate.finish()


def _path_of(target: str) -> str:
    """Return the path of a target in absolute form. Raises HTTPInputError if it is invalid."""
    if len(target) > MAX_ABSOLUTE_TARGET:
        raise HTTPInputError("Invalid target")
    try:
        return urlsplit(target).path or "/"
    except ValueError as error:
        raise HTTPInputError(f"Invalid target: {error}") from error


class WebServer:
    """Serves the routes on an address; `not_found` (handler, arguments) answers all other paths.

    With a `head_cache`, the fast lane answers the requests that it knows. `proxies` decides whose
    X-Forwarded-* headers are trusted. `refuse` returns the body of the response to a request that
    Tornado cannot read. A request body must arrive within `body_seconds`. `backlog` counts the
    bytes that clients have not taken yet; `memory` holds the bounds of the other owners.
    `shed(count)` closes up to `count` event streams and returns how many. Handlers read
    `deprecations` from the settings of Tornado's application.
    """

    def __init__(
        self,
        routes: list[Any],
        access_log: AccessLog,
        not_found: tuple[type[RequestHandler], dict[str, Any]],
        head_cache: HeadCache | None = None,
        proxies: TrustedProxies | None = None,
        refuse: Refuse = refuse_plainly,
        body_seconds: float = BODY_SECONDS,
        backlog: Backlog | None = None,
        memory: MemoryBudget = DEFAULT,
        shed: Callable[[int], int] = lambda _count: 0,
        deprecations: Deprecations | None = None,
    ) -> None:
        self._memory = memory
        self.backlog = Backlog() if backlog is None else backlog
        self._shed = shed
        self._access_log = access_log
        self._proxies = proxies or TrustedProxies()
        self._application = CountingApplication(
            self._proxies,
            IncompleteBodies(memory.bodies),
            routes,
            default_handler_class=not_found[0],
            default_handler_args=not_found[1],
            log_function=access_log,
            deprecations=deprecations,
        )
        self._server = HandoffServer(
            self._application,
            max_header_size=MAX_HEAD_BYTES,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=body_seconds,
            idle_connection_timeout=IDLE_SECONDS,
            refuse=refuse,
            backlog=self.backlog,
            queue=HandoffQueue(memory.handoff_queue),
        )
        self._head_cache = head_cache
        self._sockets: list[socket.socket] = []
        self.lane: FastLane | None = None
        self.acceptor: Acceptor | None = None
        self._timer: PeriodicCallback | None = None

    @property
    def in_flight(self) -> int:
        """How many requests are being answered at the moment."""
        lane = self.lane.busy if self.lane else 0
        return self._application.in_flight + len(self._server.queue) + lane

    def listen(self, host: str, port: int, *, shared: bool = False) -> int:
        """Bind the address and return the port, which is a free one if `port` is 0.

        Clients that connect wait until `open` is called. `shared` lets other processes listen on
        the same address, and leaves clients to those until then. Raises AddressUnavailable.
        """
        self._sockets = sockets.bind(host, port, shared=shared, listen=not shared)
        chosen: int = self._sockets[0].getsockname()[1]
        return chosen

    def open(self) -> None:
        """Start accepting connections, beginning with those that already wait.

        Raises OSError if another program has taken a shared address meanwhile.
        """
        for each in self._sockets:
            each.listen(sockets.BACKLOG)  # a shared socket is only bound until now
        if self._head_cache is None:
            self._server.add_sockets(self._sockets)
            return
        for each in self._sockets:  # accepted connections inherit these options
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):  # not supported in some sandboxes
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)
        log_hit = self._log_hit if self._access_log.logs_hits else None
        self.lane = FastLane(self._head_cache, self._server, log_hit, self._memory)
        self._timer = PeriodicCallback(self.lane.tick, 1000)
        self._timer.start()
        self.acceptor = Acceptor(self._sockets, self.lane.take, self._make_room)
        self.acceptor.open()

    def _make_room(self, count: int) -> int:
        """Close up to `count` connections, event streams last; return how many were closed."""
        assert self.lane is not None
        closed = self.lane.make_room(count)
        if closed:
            return closed
        shed = self._shed(count)
        for _ in range(shed):
            self.backlog.on_close("descriptors")
        return shed

    def _log_hit(self, answer: WireResponse, head: bytes, address: Any, seconds: float) -> None:
        """Log a response of the fast lane."""
        target = head.split(b" ", 2)[1].decode("ascii")
        client = self._proxies.client(address[0], head)
        self._access_log.hit(answer.method, target, client, answer.status, answer.length, seconds)

    async def close(self) -> None:
        """Stop listening, wait for the requests in flight, then close the idle connections.

        Takes at most about five seconds.
        """
        self._server.stop()
        self._server.conn_params.no_keep_alive = True  # responses now say `Connection: close`
        if self.lane is not None and self.acceptor is not None:
            self.acceptor.close()
            self.lane.drain()
            if self.lane.idle or self._server.has_connections:
                await asyncio.sleep(LAST_CALL_SECONDS)
        for _ in range(round(DRAIN_SECONDS / DRAIN_STEP)):
            if not self.in_flight:
                break
            await asyncio.sleep(DRAIN_STEP)
        if self.lane is not None and self._timer is not None:
            self._timer.stop()
            await self.lane.close()
            self.lane.tick()
        await self._server.close_all_connections()
        for each in self._sockets:  # still open if open() was never called
            each.close()
