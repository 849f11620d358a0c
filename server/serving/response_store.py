"""Encoded responses until they expire; bounded in bytes."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cachetools import TLRUCache

from server.config.memory_budget import DEFAULT
from server.serving.payload import Coding, Representation
from server.tasks import attempt_now

Key = tuple[str, Coding]  # a query in its normal form, or a path

ENTRY_BYTES = 400  # of an entry beside its key and the response itself


class StoredResponse(NamedTuple):
    """A response, when it expires by the timer of the store, and its bytes with its key."""

    ready: Representation
    good_until: float
    size: int = 0


class ResponseStore:
    """Cache of responses by key, each with its own expiry, up to `max_bytes`.

    `timer` is in seconds.
    """

    def __init__(self, timer: Callable[[], float], max_bytes: int = DEFAULT.responses) -> None:
        self._timer = timer
        self._max_bytes = max_bytes
        self._watchers: list[Callable[[], None]] = []
        self._stored = self._empty()

    @property
    def size(self) -> int:
        """Estimated bytes in memory."""
        return int(self._stored.currsize)

    def get(self, key: Key) -> Representation | None:
        """Return a response that has not expired, if any."""
        stored = self._stored.get(key)
        return None if stored is None else stored.ready

    def find(self, key: Key) -> StoredResponse | None:
        """Return a response that has not expired, with its expiry, if any."""
        return self._stored.get(key)

    def put(self, key: Key, response: StoredResponse) -> None:
        """Store a response, unless it alone is larger than the store."""
        size = response.ready.size + len(key[0]) + ENTRY_BYTES
        if size <= self._max_bytes:
            self._stored[key] = response._replace(size=size)

    def fill(self, responses: Mapping[Key, StoredResponse]) -> float:
        """Store several responses; return when the first of them expires."""
        for key, each in responses.items():
            self.put(key, each)
        return min((each.good_until for each in responses.values()), default=math.inf)

    def clear(self) -> None:
        """Drop all responses, then call every watcher; one that raises is logged."""
        self._stored = self._empty()
        for watcher in self._watchers:
            attempt_now(watcher, None)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` after every `clear`."""
        self._watchers.append(watcher)

    def _empty(self) -> "TLRUCache[Key, StoredResponse]":
        return TLRUCache(
            self._max_bytes,
            lambda _key, stored, _now: stored.good_until,
            self._timer,
            getsizeof=lambda stored: stored.size,
        )
