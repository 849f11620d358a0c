"""Answers that are ready to be sent, until their time is up. Bounded in bytes."""

from collections.abc import Callable

from cachetools import TLRUCache

from server.catalog.payload import Coding, Representation
from server.tasks import attempt_now

Key = tuple[str, Coding]  # a query in its normal form, or a path

MAX_BYTES = 32 * 1024 * 1024


class Shelf:
    """Answers by key. `good_until` tells, by `timer`, when what is put there now has to go."""

    def __init__(self, timer: Callable[[], float], good_until: Callable[[], float]) -> None:
        self._timer = timer
        self.good_until = good_until
        self._watchers: list[Callable[[], None]] = []
        self._ready = self._empty()

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return int(self._ready.currsize)

    def get(self, key: Key) -> Representation | None:
        """What is ready."""
        return self._ready.get(key)

    def keep(self, key: Key, ready: Representation) -> None:
        """Put an answer there, if it is not larger than the whole shelf."""
        if ready.size <= MAX_BYTES:
            self._ready[key] = ready

    def begin_anew(self) -> None:
        """Take everything away, and tell every watcher, whatever one of them raises."""
        self._ready = self._empty()
        for tell in self._watchers:
            attempt_now(tell, None)

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever everything is taken away."""
        self._watchers.append(tell)

    def _empty(self) -> "TLRUCache[Key, Representation]":
        return TLRUCache(
            MAX_BYTES,
            lambda _key, _ready, _now: self.good_until(),
            self._timer,
            getsizeof=lambda each: each.size,
        )
