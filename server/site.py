"""The HTTP server: listens, knows what is in flight, and closes without cutting anybody off."""

import asyncio
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from server.access_log import AccessLog

MAX_HEAD_BYTES = 256 * 1024  # so that a long address gets an answer and not a cut connection
IDLE_SECONDS = 75
DRAIN_SECONDS = 5.0
DRAIN_STEP = 0.02


class CountingApplication(Application):
    """Tornado's application, and how many requests are being answered right now."""

    in_flight = 0

    def get_handler_delegate(self, *args: Any, **kwargs: Any) -> Any:
        """A request has found its handler."""
        self.in_flight += 1
        return super().get_handler_delegate(*args, **kwargs)

    def log_request(self, handler: RequestHandler) -> None:
        """A request has been answered."""
        self.in_flight -= 1
        super().log_request(handler)


class Site:
    """The routes on an address. `not_found` answers for addresses without a route."""

    def __init__(
        self, routes: list[Any], access_log: AccessLog, not_found: type[RequestHandler] | None
    ) -> None:
        self._application = CountingApplication(
            routes, default_handler_class=not_found, log_function=access_log
        )
        self._server = HTTPServer(
            self._application, max_header_size=MAX_HEAD_BYTES, idle_connection_timeout=IDLE_SECONDS
        )

    @property
    def in_flight(self) -> int:
        """How many requests are being answered right now."""
        return self._application.in_flight

    def listen(self, host: str, port: int) -> int:
        """Listen, on a free port if `port` is 0; the port. Raises OSError if it is taken."""
        sockets = bind_sockets(port, host)
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
