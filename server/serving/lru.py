"""A least-recently-used cache that is bounded in bytes. Pure."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Values by key, up to `max_bytes`; `size` returns the bytes of a key with its value."""

    def __init__(self, max_bytes: int, size: Callable[[K, V], int]) -> None:
        self._max_bytes = max_bytes
        self._size = size
        self._values: dict[K, V] = {}  # the least recently used first
        self.size = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of a key, if any; it is the most recently used one then."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Store a value, unless it alone is larger than the cache."""
        self._drop(key)
        size = self._size(key, value)
        if size > self._max_bytes:
            return
        while self.size + size > self._max_bytes:
            self._drop(next(iter(self._values)))
        self._values[key] = value
        self.size += size

    def _drop(self, key: K) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self.size -= self._size(key, value)
