"""Requests that the head cache does not know: completed, refused, or handed off to Tornado."""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from server.http.connections.connection import Connection
from server.http.connections.head_limits import MAX_HEAD_BYTES, RequestFault, end_of_head, fault_of
from server.http.connections.incomplete_heads import IncompleteHeads
from server.http.handoff import HandoffServer
from server.http.refusals import TLS_HANDSHAKE, TlsLog


class RequestIntake:
    """Receives connections whose next request is unknown.

    `go_on(connection, data)` continues when a head is complete, `take(socket, address, network,
    data)` when Tornado returns a connection; `forget` and `close` end the fast lane's part.
    Incomplete heads together take up to `heads` bytes.
    """

    def __init__(
        self,
        tornado: HandoffServer,
        *,
        go_on: Callable[[Connection, bytes], None],
        take: Callable[[socket.socket, Any, str, bytes], None],
        forget: Callable[[Connection], None],
        close: Callable[[Connection], None],
        heads: int,
    ) -> None:
        self.heads = IncompleteHeads(go_on, self._refuse, close, heads)
        self._tls = TlsLog()
        self._tornado = tornado
        self._take = take
        self._forget = forget
        self._close = close

    def receive(self, connection: Connection, second: int) -> None:
        """Hand off a connection whose pending bytes begin with a complete head, or read on.

        `second` is the current tick. Refuses a head that breaks a limit, and closes connections
        that speak TLS.
        """
        data = connection.pending
        end = end_of_head(data)
        if data.startswith(TLS_HANDSHAKE):
            self._tls.note(connection.address[0])
            self._close(connection)
        elif end is None and len(data) <= MAX_HEAD_BYTES:
            connection.pending = b""
            self.heads.begin(connection, data, second)
        elif fault := fault_of(data[:end]):
            self._refuse(connection, data, fault)
        else:
            assert end is not None  # else it is too large, which is a fault
            self._hand_off(connection, end)

    def _refuse(self, connection: Connection, head: bytes, fault: RequestFault) -> None:
        """Answer a request that no handler may see, and close the connection."""
        self._forget(connection)
        if head.strip(b"\r\n"):
            with suppress(OSError):
                connection.socket.send(self._tornado.refusal(connection.address[0], head, fault))
        self._tornado.linger.take(connection.socket)

    def _hand_off(self, connection: Connection, head: int) -> None:
        """Let Tornado answer the first pending request, whose head has `head` bytes."""
        self._forget(connection)
        address, network = connection.address, connection.network
        back = partial(self._take_back, address, network)
        self._tornado.hand_off(connection.socket, address, network, connection.pending, head, back)

    def _take_back(
        self, address: Any, network: str, connection: socket.socket, received: bytes
    ) -> None:
        with suppress(OSError):  # Tornado has switched it off
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._take(connection, address, network, received)
