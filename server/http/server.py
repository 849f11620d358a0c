"""The HTTP server: listens, knows what is in flight, and closes without cutting anybody off."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tornado.httputil import HTTPInputError, HTTPMessageDelegate, HTTPServerRequest
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from server.config.memory_budget import DEFAULT, Budget
from server.http.connections import sockets
from server.http.connections.acceptor import Acceptor
from server.http.connections.handoff_queue import Turns
from server.http.connections.head_limits import (
    BODY_SECONDS,
    IDLE_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
)
from server.http.connections.incomplete_bodies import IncompleteBodies
from server.http.connections.unsent import Backlog
from server.http.fast_lane import Lane
from server.http.forwarded import TrustedProxies
from server.http.handoff import HandoffServer
from server.http.head_cache import HeadCache
from server.http.refusals import Refuse, refuse_plainly
from server.http.wire_response import WireResponse
from server.observability.access_log import AccessLog

KERNEL_BYTES = 128 * 1024  # of a connection that are not on the wire yet; Linux takes 4 MB else
LONGEST_ABSOLUTE = 1024  # characters; Python remembers 128 addresses that it has taken apart
OF_A_BODY = frozenset({"Content-Length", "Transfer-Encoding"})
DRAIN_SECONDS = 4.0
DRAIN_STEP = 0.02
LAST_CALL_SECONDS = 0.25  # for requests on their way, at the end


class CountingApplication(Application):
    """Tornado's application, and how many requests are being answered right now."""

    in_flight = 0

    def __init__(
        self, proxies: TrustedProxies, bodies: IncompleteBodies, *args: Any, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._proxies = proxies
        self.bodies = bodies

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The handler of a request, also of one in absolute form (RFC 9112 section 3.2.2)."""
        self._proxies.correct(request)
        if not request.path.startswith("/"):
            request.path = _path_of(request.path)
        if "," in (options := request.headers.get("Connection", "")):
            self._obey(request, options)
        return _Counted(super().find_handler(request, **kwargs), self, request)

    def _obey(self, request: HTTPServerRequest, options: str) -> None:
        """Close after the answer if `close` is one of several options (RFC 9112 section 9.6)."""
        if "close" in {each.strip().lower() for each in options.split(",")}:
            request.connection._disconnect_on_finish = True  # type: ignore[union-attr]

    def log_request(self, handler: RequestHandler) -> None:
        """A request has been answered."""
        self.in_flight -= 1
        super().log_request(handler)


class _Counted(HTTPMessageDelegate):
    """A request that counts as in flight once it has come in whole."""

    def __init__(
        self,
        delegate: HTTPMessageDelegate,
        application: CountingApplication,
        request: HTTPServerRequest,
    ) -> None:
        self._delegate = delegate
        self._application = application
        self._connection = request.connection
        if not OF_A_BODY.isdisjoint(request.headers):
            application.bodies.begin(self._connection)
        self.headers_received = delegate.headers_received  # type: ignore[method-assign]
        self.data_received = delegate.data_received  # type: ignore[method-assign]

    def on_connection_close(self) -> None:
        """The connection has gone."""
        self._application.bodies.end(self._connection)
        self._delegate.on_connection_close()

    def finish(self) -> None:
        """All has come in; from here on `log_request` will be called."""
        self._application.bodies.end(self._connection)
        self._application.in_flight += 1
        self._delegate.finish()


def _path_of(target: str) -> str:
    """The path of a target in absolute form. Raises HTTPInputError if it is no address."""
    if len(target) > LONGEST_ABSOLUTE:
        raise HTTPInputError("Invalid target")
    try:
        return urlsplit(target).path or "/"
    except ValueError as error:
        raise HTTPInputError(f"Invalid target: {error}") from error


class WebServer:
    """The routes on an address. `not_found` answers, given these values, where no route does.

    With a `head_cache`, the fast lane answers what that knows. `proxies` are believed who asks.
    `refuse` answers what Tornado cannot read. A body has to arrive within `body_seconds`. `backlog`
    is the account of what clients have yet to take; `memory` are the shares of the other owners.
    `shed(count)` ends up to `count` event streams.
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
        memory: Budget = DEFAULT,
        shed: Callable[[int], int] = lambda _count: 0,
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
        )
        self._server = HandoffServer(
            self._application,
            max_header_size=MAX_HEAD_BYTES,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=body_seconds,
            idle_connection_timeout=IDLE_SECONDS,
            refuse=refuse,
            backlog=self.backlog,
            turns=Turns(memory.turns),
        )
        self._head_cache = head_cache
        self._sockets: list[socket.socket] = []
        self.lane: Lane | None = None
        self.acceptor: Acceptor | None = None
        self._timer: PeriodicCallback | None = None

    @property
    def in_flight(self) -> int:
        """How many requests are being answered right now."""
        lane = self.lane.busy if self.lane else 0
        return self._application.in_flight + len(self._server.turns) + lane

    def listen(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen, on a free port if `port` is 0; the port. Raises AddressUnavailable.

        `shared` is whether other processes listen there, too. Clients wait until `open`.
        """
        self._sockets = sockets.bind(host, port, shared=shared)
        chosen: int = self._sockets[0].getsockname()[1]
        return chosen

    def open(self) -> None:
        """Answer who has come and who comes."""
        if self._head_cache is None:
            self._server.add_sockets(self._sockets)
            return
        for each in self._sockets:  # whose connections inherit it
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):  # some sandboxes do not know it
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)
        tell = self._tell if self._access_log.tells_hits else None
        self.lane = Lane(self._head_cache, self._server, tell, self._memory)
        self._timer = PeriodicCallback(self.lane.tick, 1000)
        self._timer.start()
        self.acceptor = Acceptor(self._sockets, self.lane.take, self._make_room)
        self.acceptor.open()

    def _make_room(self, count: int) -> int:
        """Close up to `count` connections, event streams last, and tell how many."""
        assert self.lane is not None
        closed = self.lane.make_room(count)
        if closed:
            return closed
        shed = self._shed(count)
        for _ in range(shed):
            self.backlog.tell("descriptors")
        return shed

    def _tell(self, answer: WireResponse, head: bytes, address: Any, seconds: float) -> None:
        """Log an answer of the fast lane."""
        target = head.split(b" ", 2)[1].decode("ascii")
        client = self._proxies.client(address[0], head)
        self._access_log.hit(answer.method, target, client, answer.status, answer.length, seconds)

    async def close(self) -> None:
        """Listen no more, let what is in flight be answered, then close the idle connections."""
        self._server.stop()
        self._server.conn_params.no_keep_alive = True  # and clients are told so
        if self.lane is not None and self.acceptor is not None:
            self.acceptor.close()
            self.lane.drain()
            if self.lane.idle:
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
        for each in self._sockets:  # if it never opened
            each.close()
