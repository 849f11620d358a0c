"""Fairness: how many connections with unknown requests are read in one turn of the loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from server.http.connections.connection import Connection

MAX_READS = 32  # each takes about 50 microseconds, so that a turn of the loop stays below 2 ms


class ReadBudget:
    """Defers connections while `is_spent`, and calls `read` for them in the next turns of the loop.

    Connections that are no longer among `connections` by then are dropped. Nothing is read from a
    deferred connection, so it costs no memory. So when thousands send something at the same moment,
    clients whose requests are known do not wait for all of them.
    """

    def __init__(
        self,
        connections: Mapping[int, Connection],
        read: Callable[[Connection], None],
        most: int = MAX_READS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections = connections
        self._read = read
        self._most = self._left = most
        self._waiting: deque[Connection] = deque()
        self.is_spent = False

    def spend(self) -> None:
        """Count a request that is not known."""
        if self._left == self._most:
            self._loop.call_soon(self._renew)
        self._left -= 1
        self.is_spent = self._left <= 0

    def defer(self, connection: Connection) -> None:
        """Read a connection in a later turn; the loop does not watch it until then."""
        self._loop.remove_reader(connection.descriptor)
        self._waiting.append(connection)

    def _renew(self) -> None:
        self._left, self.is_spent = self._most, False
        while self._waiting and not self.is_spent:
            connection = self._waiting.popleft()
            if self._connections.get(connection.descriptor) is connection:
                self._loop.add_reader(connection.descriptor, self._read, connection)
                self._read(connection)
