"""Accepting connections, also when the system has no descriptors or memory left."""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from typing import Any

import structlog

MAX_ACCEPTS = 16  # connections accepted in one turn of the loop
RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.02  # until connections that were closed to make room have released it
EVICTION_BATCH = 64  # connections closed when no descriptor is left

log = structlog.get_logger()


class Acceptor:
    """Accepts connections and passes each to `take(socket, address)`.

    When no descriptor (EMFILE, ENFILE) or memory is left, `make_room(count)` closes up to `count`
    connections and returns how many. The acceptor tries again after PAUSE_SECONDS, or after
    RETRY_SECONDS if nothing could be closed or that did not help. Clients that connect meanwhile
    wait in the kernel's queue.
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
        self._paused: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._made_room = False  # and no connection has been accepted since
        self._logged_at = -math.inf

    def open(self) -> None:
        """Start accepting connections."""
        self._paused = None
        for each in self._sockets:
            self._loop.add_reader(each.fileno(), self._accept, each, MAX_ACCEPTS)

    def close(self) -> None:
        """Accept the connections that already wait in the queue, and stop listening."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._paused is not None:
            self._paused.cancel()
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
                self._pause(error)
                return
            connection.setblocking(False)
            self._made_room = False
            self._take(connection, address)

    def _pause(self, error: OSError) -> None:
        if self._is_closed:
            return
        self._log_exhaustion(error)
        closed = self._make_room(EVICTION_BATCH)
        seconds = PAUSE_SECONDS if closed and not self._made_room else RETRY_SECONDS
        self._made_room = bool(closed)
        for each in self._sockets:
            self._loop.remove_reader(each.fileno())
        self._paused = self._loop.call_later(seconds, self.open)

    def _log_exhaustion(self, error: OSError) -> None:
        """Log that no connection can be accepted, at most once a second."""
        if self._loop.time() - self._logged_at >= RETRY_SECONDS:
            self._logged_at = self._loop.time()
            log.warning("connections_waiting", reason=error.strerror, retry_seconds=RETRY_SECONDS)
