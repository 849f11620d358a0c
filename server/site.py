"""The HTTP server: listens, knows what is in flight, and closes without cutting anybody off."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, HTTPServerRequest
from tornado.web import Application, RequestHandler

from server import listening
from server.access_log import AccessLog

MAX_HEAD_BYTES = 256 * 1024  # so that a long address gets an answer and not a cut connection
MAX_BODY_BYTES = 64 * 1024  # no route takes a body
BODY_SECONDS = 10.0
IDLE_SECONDS = 75
DRAIN_SECONDS = 4.0
DRAIN_STEP = 0.02


class CountingApplication(Application):
    """Tornado's application, and how many requests are being answered right now."""

    in_flight = 0

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """The handler of a request, also of one in absolute form (RFC 9112 section 3.2.2)."""
        if not request.path.startswith("/"):
            request.path = urlsplit(request.path).path or "/"
        return _Counted(super().find_handler(request, **kwargs), self)

    def log_request(self, handler: RequestHandler) -> None:
        """A request has been answered."""
        self.in_flight -= 1
        super().log_request(handler)


class _Counted(HTTPMessageDelegate):
    """A request that counts as in flight once it has come in whole."""

    def __init__(self, delegate: HTTPMessageDelegate, application: CountingApplication) -> None:
        self._delegate = delegate
        self._application = application
        self.headers_received = delegate.headers_received  # type: ignore[method-assign]
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]

    def finish(self) -> None:
        """All has come in; from here on `log_request` will be called."""
        self._application.in_flight += 1
        self._delegate.finish()


class Site:
    """The routes on an address. `not_found` answers for addresses without a route."""

    def __init__(
        self, routes: list[Any], access_log: AccessLog, not_found: type[RequestHandler] | None
    ) -> None:
        self._application = CountingApplication(
            routes, default_handler_class=not_found, log_function=access_log
        )
        self._server = HTTPServer(
            self._application,
            max_header_size=MAX_HEAD_BYTES,
            max_body_size=MAX_BODY_BYTES,
            body_timeout=BODY_SECONDS,
            idle_connection_timeout=IDLE_SECONDS,
        )

    @property
    def in_flight(self) -> int:
        """How many requests are being answered right now."""
        return self._application.in_flight

    def listen(self, host: str, port: int, *, shared: bool = False) -> int:
        """Listen, on a free port if `port` is 0; the port. Raises AddressUnavailable.

        `shared` is whether other processes listen there, too.
        """
        sockets = listening.bind(host, port, shared=shared)
        self._server.add_sockets(sockets)
        chosen: int = sockets[0].getsockname()[1]
        return chosen

    async def close(self) -> None:
        """Listen no more, let what is in flight be answered, then close the idle connections."""
        self._server.stop()
        for _ in range(round(DRAIN_SECONDS / DRAIN_STEP)):
            if not self.in_flight:
                break
            await asyncio.sleep(DRAIN_STEP)
        await self._server.close_all_connections()
