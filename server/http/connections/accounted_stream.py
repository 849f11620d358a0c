"""Tornado's streams, with their unsent bytes charged to the backlog."""

import socket
from typing import Any

from tornado.iostream import IOStream

from server.http.connections.backlog import Backlog, UnsentAccount

COPIED_BYTES = 2048  # Tornado copies up to this size, and keeps references to larger objects
HANDOFF_BYTES = 16_000  # memory of a handed-off connection and its request, besides unsent bytes


class AccountedStream(IOStream):
    """A stream whose unsent bytes `backlog` counts."""

    def __init__(self, connection: socket.socket, *, backlog: Backlog, **options: Any) -> None:
        super().__init__(connection, **options)
        self._backlog = backlog
        self._account: UnsentAccount | None = None

    def write(self, data: Any) -> Any:
        """Send bytes, or buffer them until the client takes them."""
        written = super().write(data)
        if self.writing():
            self._charge(data)
            written.add_done_callback(self._written)
        return written

    def _charge(self, data: Any) -> None:
        """Charge what Tornado buffers: a copy if it is small, otherwise the object itself."""
        if self._account is None:
            self._account = UnsentAccount(self.socket.fileno(), self.close, HANDOFF_BYTES)
        if len(data) <= COPIED_BYTES:
            self._backlog.charge(self._account, len(data))
            return
        body: Any = data.obj if isinstance(data, memoryview) else data
        self._backlog.charge(self._account, 0, body)

    def _written(self, _: Any) -> None:
        if self._account is not None and not self.writing():
            self._backlog.settle(self._account)

    def write_to_fd(self, data: memoryview) -> int:
        """Pass bytes to the kernel; return how many it has taken."""
        count = super().write_to_fd(data)
        if self._account is not None:
            self._account.sent += count
        return count

    def close_fd(self) -> None:
        """Settle the account and close the connection."""
        self.settle()
        super().close_fd()

    def settle(self) -> None:
        """Settle the account, because the stream ends."""
        if self._account is not None:
            self._backlog.settle(self._account)
            self._account = None  # it refers to the stream
