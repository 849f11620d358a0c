"""Request heads of which only a part has arrived: bounded in bytes and seconds, oldest first."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from server.config.memory_budget import DEFAULT
from server.http.connections.connection import Connection
from server.http.connections.head_limits import (
    HEAD_SECONDS,
    HEAD_TOO_SLOW,
    MAX_HEAD_BYTES,
    Fault,
    end_of_head,
)

READ_BYTES = 16 * 1024


class IncompleteHeads:
    """Connections that wait for the rest of a head.

    Each has its part in `head`, and keeps in `seen` the second of its first byte, so that a client
    that sends a byte now and then is as old as its head. `whole(connection, data)` gets a head that
    is whole, with what has arrived behind it, or one that is too large; `refuse(connection, head,
    fault)` one whose time is up. `close` gets connections that have ended, and the oldest when all
    together have more than `most` bytes.
    """

    def __init__(
        self,
        whole: Callable[[Connection, bytes], None],
        refuse: Callable[[Connection, bytes, Fault], None],
        close: Callable[[Connection], None],
        most: int = DEFAULT.heads,
    ) -> None:
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._whole = whole
        self._refuse = refuse
        self._close = close
        self._waiting: OrderedDict[Connection, None] = OrderedDict()
        self.size = 0  # bytes

    def begin(self, connection: Connection, part: bytes, second: int) -> None:
        """Keep the first part of a head, and read the rest when it arrives."""
        connection.head = bytearray(part)
        connection.seen = second
        self._waiting[connection] = None
        self._grow(len(part))
        if connection.head is not None:
            self._await_more(connection)

    def forget(self, connection: Connection) -> bytes:
        """Wait no longer; return what has arrived."""
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
        """Add what has arrived; no byte is searched twice."""
        head = connection.head
        assert head is not None
        known = len(head)
        head += part
        self._grow(len(part))
        if connection.head is None:
            return
        if len(head) > MAX_HEAD_BYTES or end_of_head(head, known) is not None:
            self._whole(connection, self.forget(connection))
        else:
            self._await_more(connection)

    def _await_more(self, connection: Connection) -> None:
        """Read when there is more, or the client has gone.

        A reset may have come with what was read, and uvloop then watches the connection no longer,
        unless it is told to again.
        """
        self._loop.remove_reader(connection.descriptor)
        self._loop.add_reader(connection.descriptor, self._read, connection)

    def _grow(self, count: int) -> None:
        self.size += count
        while self.size > self._most:
            self._close(next(iter(self._waiting)))
