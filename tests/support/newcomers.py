"""Clients that connect while a server is crowded."""

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench.http.process import descriptors
from tests.system.attacks.neighbour import REQUEST, answer
from tests.system.attacks.siege import Siege
from tests.system.faults.place import Meanwhile

PATIENCE = 2.0  # seconds for an answer on a new connection while descriptors are short


@contextmanager
def few_descriptors(siege: Siege, room: int) -> Iterator[int]:
    """So many more than are open now."""
    limits = resource.prlimit(siege.pid, resource.RLIMIT_NOFILE)
    most = descriptors(siege.pid) + room
    resource.prlimit(siege.pid, resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        yield most
    finally:
        resource.prlimit(siege.pid, resource.RLIMIT_NOFILE, limits)


def ask(connection: socket.socket) -> None:
    """Ask for a warm answer, and read it."""
    connection.sendall(REQUEST)
    answer(connection)


class Newcomers(Meanwhile):
    """`ask` on a new connection each, every 50 ms while entered; how long each took."""

    def __init__(self, port: int, ask: Callable[[socket.socket], None] = ask) -> None:
        super().__init__()
        self._port, self._ask = port, ask
        self.answered: list[float] = []
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._over.wait(0.05):
            began = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self._port), PATIENCE) as connection:
                    self._ask(connection)
            except (OSError, ValueError) as error:
                self.failed.append(repr(error))
            else:
                self.answered.append(time.monotonic() - began)
