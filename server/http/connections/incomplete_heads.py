"""Incomplete request heads: bounded in bytes and seconds, oldest closed first."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from server.config.memory_budget import DEFAULT
from server.http.connections.connection import Connection
from server.http.connections.head_limits import (
    HEAD_SECONDS,
    HEAD_TOO_SLOW,
    MAX_HEAD_BYTES,
    RequestFault,
    end_of_head,
)

READ_BYTES = 16 * 1024


class IncompleteHeads:
    """Connections that wait for the rest of a head.

    Each keeps its bytes in `head`, and in `seen` the second of the first byte, so that slow bytes
    do not make a head look younger. `complete(connection, data)` receives a complete head with the
    bytes that follow, or one that is too large; `refuse(connection, head, fault)` one whose time is
    up. `close` receives connections that have ended, and the oldest when all heads together exceed
    `most` bytes.
    """

    def __init__(
        self,
        complete: Callable[[Connection, bytes], None],
        refuse: Callable[[Connection, bytes, RequestFault], None],
        close: Callable[[Connection], None],
        most: int = DEFAULT.heads,
    ) -> None:
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._complete = complete
        self._refuse = refuse
        self._close = close
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self.size = 0  # bytes

    def begin(self, connection: Connection, part: bytes, second: int) -> None:
        """Store the first part of a head, and read the rest when it arrives."""
        connection.head = bytearray(part)
        connection.seen = second
        self._waiting[connection] = None
        self._grow(len(part))
        if connection.head is not None:
            self._await_more(connection)

    def forget(self, connection: Connection) -> bytes:
        """Stop waiting for a connection's head; return the bytes that have arrived."""
        if connection.head is None:
            return b""
        arrived, connection.head = bytes(connection.head), None
        del self._waiting[connection]
        self.size -= len(arrived)
        return arrived

    def tick(self, second: int) -> None:
        """Refuse the heads whose time is up."""
        while self._waiting:
            oldest = next(iter(self._waiting))
            if oldest.seen >= second - HEAD_SECONDS:
                break
            self._refuse(oldest, self.forget(oldest), HEAD_TOO_SLOW)

    def _read(self, connection: Connection) -> None:
        try:
            part = connection.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            part = b""
        if part:
            self._add(connection, part)
        else:
            self._close(connection)

    def _add(self, connection: Connection, part: bytes) -> None:
        """Append what has arrived; no byte is searched twice."""
        head = connection.head
        assert head is not None
        known = len(head)
        head += part
        self._grow(len(part))
        if connection.head is None:
            return
        if len(head) > MAX_HEAD_BYTES or end_of_head(head, known) is not None:
            self._complete(connection, self.forget(connection))
        else:
            self._await_more(connection)

    def _await_more(self, connection: Connection) -> None:
        """Watch the connection for more bytes or its end.

        uvloop stops watching a connection that was reset while it was read, unless it is added
        again.
        """
        self._loop.remove_reader(connection.descriptor)
        self._loop.add_reader(connection.descriptor, self._read, connection)

    def _grow(self, count: int) -> None:
        self.size += count
        while self.size > self._most:
            self._close(next(iter(self._waiting)))
