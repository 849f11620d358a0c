"""Answers that are ready to be sent, until their time is up. Bounded in bytes."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cachetools import TLRUCache

from server.config.memory_budget import DEFAULT
from server.serving.payload import Coding, Representation
from server.tasks import attempt_now

Key = tuple[str, Coding]  # a query in its normal form, or a path

ENTRY_BYTES = 400  # of an answer's place beside its key and the answer itself


class Kept(NamedTuple):
    """An answer, when it has to go by the timer of the shelf, and its bytes with its key."""

    ready: Representation
    good_until: float
    size: int = 0


class ResponseStore:
    """Answers by key, each with its own end, up to `most` bytes. `timer` is in seconds."""

    def __init__(self, timer: Callable[[], float], most: int = DEFAULT.responses) -> None:
        self._timer = timer
        self._most = most
        self._watchers: list[Callable[[], None]] = []
        self._kept = self._empty()

    @property
    def size(self) -> int:
        """Bytes, near enough."""
        return int(self._kept.currsize)

    def get(self, key: Key) -> Representation | None:
        """What is ready."""
        kept = self._kept.get(key)
        return None if kept is None else kept.ready

    def find(self, key: Key) -> Kept | None:
        """What is ready, with its end."""
        return self._kept.get(key)

    def keep(self, key: Key, kept: Kept) -> None:
        """Put an answer there, if it is not larger than the whole shelf."""
        size = kept.ready.size + len(key[0]) + ENTRY_BYTES
        if size <= self._most:
            self._kept[key] = kept._replace(size=size)

    def fill(self, kept: Mapping[Key, Kept]) -> float:
        """Put answers there; when the first of them ends."""
        for key, each in kept.items():
            self.keep(key, each)
        return min((each.good_until for each in kept.values()), default=math.inf)

    def clear(self) -> None:
        """Take everything away, and tell every watcher, whatever one of them raises."""
        self._kept = self._empty()
        for tell in self._watchers:
            attempt_now(tell, None)

    def watch(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever everything is taken away."""
        self._watchers.append(tell)

    def _empty(self) -> "TLRUCache[Key, Kept]":
        return TLRUCache(
            self._most,
            lambda _key, kept, _now: kept.good_until,
            self._timer,
            getsizeof=lambda kept: kept.size,
        )
