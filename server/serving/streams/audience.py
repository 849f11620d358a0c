"""The open event streams of a process, limited in total and per client. Pure."""

from collections.abc import Iterator
from typing import Protocol

from server.request_errors import TooManyListeners, TooManyOfOneClient, stream_policy

MAX_PER_CLIENT = 100  # enough for an office behind one address; the same in deploy/nginx.conf


class OpenStream(Protocol):
    """An open event stream; `client` is the network whose limit it counts towards."""

    client: str

    def leave(self) -> None:
        """End the stream, and remove it from the audience."""

    def evict(self) -> None:
        """End the stream to make room for others, and remove it from the audience."""


class Audience:
    """Up to `max_streams` open streams, and up to `max_per_client` of each client.

    When it is full, a new stream replaces the oldest one of the client with the most streams,
    if that client has at least two more than the new stream's client.
    """

    def __init__(self, max_streams: int, max_per_client: int = MAX_PER_CLIENT) -> None:
        self._max_streams = max_streams
        self._max_per_client = max_per_client
        self._by_client: dict[str, dict[OpenStream, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[OpenStream]:
        return iter([each for own in self._by_client.values() for each in own])

    def quota_headers(self, client: str) -> dict[str, str]:
        """Return the headers that say how many more streams a client may have."""
        own = len(self._by_client.get(client, ()))
        return stream_policy(self._max_per_client).headers(max(self._max_per_client - own, 0))

    def check(self, client: str) -> None:
        """Make room for one more stream of a client.

        Raises TooManyOfOneClient or TooManyListeners.
        """
        own = len(self._by_client.get(client, ()))
        if own >= self._max_per_client:
            raise TooManyOfOneClient(self._max_per_client)
        if self._count >= self._max_streams and not self.shed(1, least=own + 2):
            raise TooManyListeners

    def add(self, stream: OpenStream) -> None:
        """Add a stream; call `check` first."""
        self._by_client.setdefault(stream.client, {})[stream] = None
        self._count += 1

    def remove(self, stream: OpenStream) -> None:
        """Remove a stream, if it has not been removed yet."""
        own = self._by_client.get(stream.client, {})
        if stream not in own:
            return
        del own[stream]
        self._count -= 1
        if not own:
            del self._by_client[stream.client]

    def shed(self, count: int, least: int = 1) -> int:
        """Evict up to `count` streams and return how many were evicted.

        Each is the oldest of the client with the most; clients with fewer than `least` keep all.
        """
        for done in range(count):
            own = max(self._by_client.values(), key=len, default={})
            if len(own) < least:
                return done
            next(iter(own)).evict()
        return count
