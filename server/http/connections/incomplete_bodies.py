"""Request bodies of which only a part has arrived: bounded in bytes, oldest first."""

from typing import Any

from server.config.memory_budget import DEFAULT

REQUEST_BYTES = 40_000  # of memory for a request whose body arrives, its connection included


class IncompleteBodies:
    """Requests of Tornado's that wait for their body; all together take up to `most` bytes."""

    def __init__(self, most: int = DEFAULT.bodies) -> None:
        self._most = most // REQUEST_BYTES
        self._waiting: dict[Any, None] = {}  # HTTP1Connection, the oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, connection: Any) -> None:
        """Count a request until its body is whole; the oldest is closed if there are too many."""
        self._waiting[connection] = None
        if len(self._waiting) > self._most:
            oldest = next(iter(self._waiting))
            self.end(oldest)
            oldest.stream.close()

    def end(self, connection: Any) -> None:
        """Count a request no longer: its body is whole, or its connection has gone."""
        self._waiting.pop(connection, None)
