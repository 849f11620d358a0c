"""Fairness: which of the requests that wait for Tornado begins in each turn of the loop."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from server.config.memory_budget import DEFAULT

ENTRY_BYTES = 1024  # of a request that waits, and its socket, beside its bytes


class Waiting(NamedTuple):
    """A request of `size` bytes on a connection; `begin` has it answered."""

    connection: socket.socket
    size: int
    begin: Callable[[], None]

    @property
    def has_been_reset(self) -> bool:
        """Whether the client has thrown the connection away, so that it reads no answer."""
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return False


class Turns:
    """Begins one request in each turn of the running loop, of one client after the other.

    Answering a request by way of Tornado takes the loop for about a millisecond, where the lane
    takes some microseconds. A hundred of them that begin in the same turn would keep the lane, and
    so all other clients, waiting until the last one is answered. If they take more than `most`
    bytes, the client with the most requests loses the connection of its newest one. A request whose
    client has gone meanwhile is not answered.
    """

    def __init__(self, most: int = DEFAULT.turns) -> None:
        self.most = most
        self._clients: dict[str, deque[Waiting]] = {}
        self._is_taken = False
        self._count = 0
        self.size = 0  # bytes

    def __len__(self) -> int:
        return self._count

    def add(self, client: str, waiting: Waiting) -> None:
        """Begin at once if this turn of the loop has not begun another one, else in a later one."""
        if not self._is_taken:
            self._begin(waiting)
            return
        self._clients.setdefault(client, deque()).append(waiting)
        self._count += 1
        self.size += waiting.size + ENTRY_BYTES
        while self.size > self.most:
            greediest = max(self._clients, key=lambda each: len(self._clients[each]))
            self._take(greediest, newest=True).connection.close()

    def close(self) -> None:
        """Drop everything that waits."""
        while self._clients:
            self._take(next(iter(self._clients))).connection.close()

    def _begin(self, waiting: Waiting) -> None:
        self._is_taken = True
        asyncio.get_running_loop().call_soon(self._next)
        if waiting.has_been_reset:
            waiting.connection.close()
        else:
            waiting.begin()

    def _next(self) -> None:
        self._is_taken = False
        if self._clients:
            self._begin(self._take(next(iter(self._clients))))

    def _take(self, client: str, *, newest: bool = False) -> Waiting:
        """Take a request away; its client has its next turn after all others."""
        requests = self._clients.pop(client)
        waiting = requests.pop() if newest else requests.popleft()
        if requests:
            self._clients[client] = requests
        self._count -= 1
        self.size -= waiting.size + ENTRY_BYTES
        return waiting
