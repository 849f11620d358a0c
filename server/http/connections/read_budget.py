"""Fairness: how many connections with unknown requests are read in one turn of the loop."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from server.http.connections.connection import Connection

MOST = 32  # each takes the loop for about 50 microseconds, so that a turn stays below 2 ms


class Portions:
    """Puts off connections while `is_spent`, and lets the loop `read` them in its next turns.

    Those that are no longer among the `connections` of the lane by then are forgotten.
    Nothing is read of a connection that is put off, so that it costs no memory. When thousands send
    something at the same moment, clients whose requests are known need not wait for all of them.
    """

    def __init__(
        self,
        connections: Mapping[int, Connection],
        read: Callable[[Connection], None],
        most: int = MOST,
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

    def put_off(self, connection: Connection) -> None:
        """Read a connection in a later turn; it is not watched until then."""
        self._loop.remove_reader(connection.descriptor)
        self._waiting.append(connection)

    def _renew(self) -> None:
        self._left, self.is_spent = self._most, False
        while self._waiting and not self.is_spent:
            connection = self._waiting.popleft()
            if self._connections.get(connection.descriptor) is connection:
                self._loop.add_reader(connection.descriptor, self._read, connection)
                self._read(connection)
