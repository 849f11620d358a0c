"""The open event streams of a process, limited in total and per client. Pure."""

from collections.abc import Iterator
from typing import Protocol

from server.request_errors import TooManyListeners, TooManyOfOneClient

MAX_PER_CLIENT = 100  # enough for an office behind one address; the same in deploy/nginx.conf


class Listener(Protocol):
    """An open event stream; `client` is the network whose limit it counts towards."""

    client: str

    def leave(self) -> None:
        """End the stream, and remove it from the audience."""

    def evict(self) -> None:
        """End the stream to make room for others, and remove it from the audience."""


class Audience:
    """Up to `max_listeners` listeners, and up to `max_per_client` of each client.

    When it is full, a new listener replaces the oldest one of the client with the most listeners,
    if that client has at least two more than the new listener's client.
    """

    def __init__(self, max_listeners: int, max_per_client: int = MAX_PER_CLIENT) -> None:
        self._max_listeners = max_listeners
        self._max_per_client = max_per_client
        self._by_client: dict[str, dict[Listener, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Listener]:
        return iter([each for own in self._by_client.values() for each in own])

    def check(self, client: str) -> None:
        """Make room for one more listener of a client.

        Raises TooManyOfOneClient or TooManyListeners.
        """
        own = len(self._by_client.get(client, ()))
        if own >= self._max_per_client:
            raise TooManyOfOneClient(self._max_per_client)
        if self._count >= self._max_listeners and not self.shed(1, least=own + 2):
            raise TooManyListeners

    def add(self, listener: Listener) -> None:
        """Add a listener; call `check` first."""
        self._by_client.setdefault(listener.client, {})[listener] = None
        self._count += 1

    def remove(self, listener: Listener) -> None:
        """Remove a listener, if it has not been removed yet."""
        own = self._by_client.get(listener.client, {})
        if listener not in own:
            return
        del own[listener]
        self._count -= 1
        if not own:
            del self._by_client[listener.client]

    def shed(self, count: int, least: int = 1) -> int:
        """Evict up to `count` listeners and return how many were evicted.

        Each is the oldest of the client with the most; clients with fewer than `least` keep all.
        """
        for done in range(count):
            own = max(self._by_client.values(), key=len, default={})
            if len(own) < least:
                return done
            next(iter(own)).evict()
        return count
