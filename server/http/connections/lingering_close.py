"""Closing a connection so that its client can read the last response (RFC 9112 section 9.6)."""

import asyncio
import socket

LINGER_SECONDS = 1.0  # at least; twice that at most
READ_BYTES = 64 * 1024


class Linger:
    """Connections after their last response: read until the client closes, or the time is up.

    Closing a connection with unread bytes resets it, which can lose the response on its way.
    """

    def __init__(self) -> None:
        self._earlier: set[socket.socket] = set()
        self._now: set[socket.socket] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._earlier) + len(self._now)

    def take(self, connection: socket.socket) -> None:
        """Half-close a connection, and close it within two times LINGER_SECONDS."""
        try:
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(connection.fileno(), self._discard, connection)
        self._now.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(LINGER_SECONDS, self._turn)

    def close(self) -> None:
        """Close all of them now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self._earlier | self._now:
            self._close(each)

    def _discard(self, connection: socket.socket) -> None:
        try:
            read = connection.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            read = b""
        if not read:
            self._close(connection)

    def _turn(self) -> None:
        """Close the connections that were here at the previous turn."""
        for each in tuple(self._earlier):
            self._close(each)
        self._earlier, self._now = self._now, set()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LINGER_SECONDS, self._turn) if self._earlier else None

    def _close(self, connection: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(connection.fileno())
        self._earlier.discard(connection)
        self._now.discard(connection)
        connection.close()
