"""Tornado's streams, with what their clients have yet to take on the account of the backlog."""

import socket
from typing import Any

from tornado.iostream import IOStream

from server.http.connections.unsent import Backlog, Debt

COPIED_BYTES = 2048  # up to so many, Tornado copies; of more it keeps a reference
LENT_BYTES = 16_000  # of a lent connection and its request, beside what is to be sent


class DebtorStream(IOStream):
    """A stream whose unsent bytes `backlog` counts."""

    def __init__(self, connection: socket.socket, *, backlog: Backlog, **options: Any) -> None:
        super().__init__(connection, **options)
        self._backlog = backlog
        self._debt: Debt | None = None

    def write(self, data: Any) -> Any:
        """Send bytes, or keep them until the client takes them."""
        written = super().write(data)
        if self.writing():
            self._owe(data)
            written.add_done_callback(self._written)
        return written

    def _owe(self, data: Any) -> None:
        """Note what is kept: a copy of what is small, else the object itself."""
        if self._debt is None:
            self._debt = Debt(self.socket.fileno(), self.close, LENT_BYTES)
        if len(data) <= COPIED_BYTES:
            self._backlog.owe(self._debt, len(data))
            return
        body: Any = data.obj if isinstance(data, memoryview) else data
        self._backlog.owe(self._debt, 0, body)

    def _written(self, _: Any) -> None:
        if self._debt is not None and not self.writing():
            self._backlog.settle(self._debt)

    def write_to_fd(self, data: memoryview) -> int:
        """Hand bytes to the kernel."""
        given = super().write_to_fd(data)
        if self._debt is not None:
            self._debt.given += given
        return given

    def close_fd(self) -> None:
        """Close the connection."""
        self.settle()
        super().close_fd()

    def settle(self) -> None:
        """Forget what the client has yet to take, because the stream ends."""
        if self._debt is not None:
            self._backlog.settle(self._debt)
            self._debt = None  # which refers to the stream
