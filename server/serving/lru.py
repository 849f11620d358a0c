"""A cache bounded in bytes that drops what was used least recently. Pure."""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Keep values by key, up to `most` bytes; `size` returns the bytes of a key with its value."""

    def __init__(self, most: int, size: Callable[[K, V], int]) -> None:
        self._most = most
        self._size = size
        self._kept: dict[K, V] = {}  # the least recently used first
        self.size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """Return the value of a key, which is then the most recently used."""
        value = self._kept.pop(key, None)
        if value is not None:
            self._kept[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value, unless it is larger than all that may be kept."""
        self._drop(key)
        size = self._size(key, value)
        if size > self._most:
            return
        while self.size + size > self._most:
            self._drop(next(iter(self._kept)))
        self._kept[key] = value
        self.size += size

    def clear(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self.size = 0

    def _drop(self, key: K) -> None:
        value = self._kept.pop(key, None)
        if value is not None:
            self.size -= self._size(key, value)
