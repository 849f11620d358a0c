"""The listeners of a process by client, so that no client has all the room. Pure."""

from collections.abc import Iterator
from typing import Protocol

from server.request_errors import TooManyListeners, TooManyOfOneClient

MOST_OF_A_CLIENT = 100  # an office behind one address; also the limit of deploy/nginx.conf


class Listener(Protocol):
    """What is kept: `client` is the network that its limit counts for."""

    client: str

    def leave(self) -> None:
        """End it; it leaves the audience at once."""

    def evict(self) -> None:
        """End it, because others need its place; it leaves the audience at once."""


class Audience:
    """Up to `most` listeners, and up to `most_of_a_client` of each client.

    When it is full, a listener of another client takes the place of the oldest one of the client
    that has the most.
    """

    def __init__(self, most: int, most_of_a_client: int = MOST_OF_A_CLIENT) -> None:
        self._most = most
        self._most_of_a_client = most_of_a_client
        self._by_client: dict[str, dict[Listener, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Listener]:
        return iter([each for own in self._by_client.values() for each in own])

    def check(self, client: str) -> None:
        """Make room for one more of a client.

        Raises TooManyOfOneClient or TooManyListeners.
        """
        own = len(self._by_client.get(client, ()))
        if own >= self._most_of_a_client:
            raise TooManyOfOneClient(self._most_of_a_client)
        if self._count >= self._most and not self.shed(1, least=own + 2):
            raise TooManyListeners

    def add(self, listener: Listener) -> None:
        """Take in a listener for which there is room."""
        self._by_client.setdefault(listener.client, {})[listener] = None
        self._count += 1

    def remove(self, listener: Listener) -> None:
        """Forget a listener; it may have been forgotten before."""
        own = self._by_client.get(listener.client, {})
        if listener not in own:
            return
        del own[listener]
        self._count -= 1
        if not own:
            del self._by_client[listener.client]

    def shed(self, count: int, least: int = 1) -> int:
        """Evict up to `count`, each the oldest of the client with the most, and tell how many.

        Clients with fewer than `least` keep theirs.
        """
        for done in range(count):
            own = max(self._by_client.values(), key=len, default={})
            if len(own) < least:
                return done
            next(iter(own)).evict()
        return count
