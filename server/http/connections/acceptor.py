"""Accepting connections, also when the system has no room for more."""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from typing import Any

import structlog

MOST_AT_ONCE = 16  # connections accepted before those that are there have their turn
REST_SECONDS = 1.0
PAUSE_SECONDS = 0.02  # for connections that make room to be gone
ROOM = 64  # connections closed when there is none

log = structlog.get_logger()


class Acceptor:
    """Passes connections on to `take(connection, address)`.

    When no descriptor is left (EMFILE, ENFILE) or no memory, it asks for room: `make_room(count)`
    closes up to `count` connections and tells how many. It tries again after PAUSE_SECONDS, or
    after REST_SECONDS if nothing could be closed or that did not help. Clients that connect
    meanwhile wait in the system's queue.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        take: Callable[[socket.socket, Any], None],
        make_room: Callable[[int], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._take = take
        self._make_room = make_room
        self._resting: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._made_room = False  # and no connection has come since
        self._told = -math.inf

    def open(self) -> None:
        """Accept from now on."""
        self._resting = None
        for each in self._sockets:
            self._loop.add_reader(each.fileno(), self._accept, each, MOST_AT_ONCE)

    def close(self) -> None:
        """Take in who has come already, and listen no more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._resting is not None:
            self._resting.cancel()
        for each in self._sockets:
            self._loop.remove_reader(each.fileno())
            self._accept(each, socket.SOMAXCONN)
            each.close()

    def _accept(self, listening: socket.socket, most: int) -> None:
        for _ in range(most):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            connection.setblocking(False)
            self._made_room = False
            self._take(connection, address)

    def _rest(self, error: OSError) -> None:
        if self._is_closed:
            return
        self._tell(error)
        closed = self._make_room(ROOM)
        seconds = PAUSE_SECONDS if closed and not self._made_room else REST_SECONDS
        self._made_room = bool(closed)
        for each in self._sockets:
            self._loop.remove_reader(each.fileno())
        self._resting = self._loop.call_later(seconds, self.open)

    def _tell(self, error: OSError) -> None:
        """Log that no connection can be accepted, once a second at most."""
        if self._loop.time() - self._told >= REST_SECONDS:
            self._told = self._loop.time()
            log.warning("connections_waiting", reason=error.strerror, retry_seconds=REST_SECONDS)
