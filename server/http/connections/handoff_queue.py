"""Fairness: which of the requests that wait for Tornado begins in each turn of the loop."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from server.config.memory_budget import DEFAULT

ENTRY_BYTES = 1024  # of a queued request and its socket, besides its bytes


class QueuedRequest(NamedTuple):
    """A request of `size` bytes on a connection; `begin` starts to answer it."""

    connection: socket.socket
    size: int
    begin: Callable[[], None]

    @property
    def is_reset(self) -> bool:
        """Whether the client has reset the connection, so that it cannot read a response."""
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True
        return False


class HandoffQueue:
    """Begins one request per turn of the running loop, of each client (network) in turn.

    Answering a request through Tornado takes about a millisecond, in the fast lane some
    microseconds. A hundred that begin in the same turn would block all other clients until the last
    one is answered. When the queue takes more than `most` bytes, the client with the most requests
    loses the connection of its newest one. A request whose client has disconnected is not answered.
    """

    def __init__(self, most: int = DEFAULT.handoff_queue) -> None:
        self.most = most
        self._clients: dict[str, deque[QueuedRequest]] = {}
        self._is_taken = False
        self._count = 0
        self.size = 0  # bytes

    def __len__(self) -> int:
        return self._count

    def add(self, client: str, waiting: QueuedRequest) -> None:
        """Begin the request at once if it is the first in this turn of the loop; else queue it."""
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
        """Close the connections of all queued requests."""
        while self._clients:
            self._take(next(iter(self._clients))).connection.close()

    def _begin(self, waiting: QueuedRequest) -> None:
        self._is_taken = True
        asyncio.get_running_loop().call_soon(self._next)
        if waiting.is_reset:
            waiting.connection.close()
        else:
            waiting.begin()

    def _next(self) -> None:
        self._is_taken = False
        if self._clients:
            self._begin(self._take(next(iter(self._clients))))

    def _take(self, client: str, *, newest: bool = False) -> QueuedRequest:
        """Remove a request; its client has the next turn after all others."""
        requests = self._clients.pop(client)
        waiting = requests.pop() if newest else requests.popleft()
        if requests:
            self._clients[client] = requests
        self._count -= 1
        self.size -= waiting.size + ENTRY_BYTES
        return waiting
