"""Request bodies that have arrived only in part: bounded in bytes, oldest closed first."""

from typing import Any

from server.config.memory_budget import DEFAULT

REQUEST_BYTES = 40_000  # memory of a request whose body arrives, including its connection


class IncompleteBodies:
    """Tornado's requests that wait for their body; together they take up to `most` bytes."""

    def __init__(self, most: int = DEFAULT.bodies) -> None:
        self._most = most // REQUEST_BYTES
        self._waiting: dict[Any, None] = {}  # HTTP1Connection, the oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, connection: Any) -> None:
        """Count a request until its body is complete; close the oldest if the bound is exceeded."""
        self._waiting[connection] = None
        if len(self._waiting) > self._most:
            oldest = next(iter(self._waiting))
            self.end(oldest)
            oldest.stream.close()

    def end(self, connection: Any) -> None:
        """Stop counting a request: its body is complete, or its connection is closed."""
        self._waiting.pop(connection, None)
