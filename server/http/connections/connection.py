"""The state of one client connection in the fast lane."""

import socket
from typing import Any

from server.http.connections.backlog import UnsentAccount


class Connection:
    """A client's connection: its socket, `descriptor`, `address`, and what it waits for.

    `pending` holds received bytes that are not answered yet, `unsent` pieces of responses that the
    client has not taken; `account` is their account in the backlog, once there was any. `head` is
    the received part of an incomplete request head. `network` is the client's network (see
    `client_network`), by which connections are counted. `seen` is the second of the last activity,
    or, with a `head`, that of its first byte. `ends` says that the connection closes once
    everything is sent; `is_known` that it has sent a known request before.
    """

    __slots__ = (
        "account",
        "address",
        "descriptor",
        "ends",
        "head",
        "is_known",
        "network",
        "pending",
        "seen",
        "socket",
        "unsent",
    )

    def __init__(self, connection: socket.socket, address: Any, network: str, seen: int) -> None:
        self.socket = connection
        self.descriptor = connection.fileno()
        self.address = address
        self.network = network
        self.seen = seen
        self.ends = self.is_known = False
        self.head: bytearray | None = None
        self.pending = b""
        self.unsent: list[bytes | memoryview] = []
        self.account: UnsentAccount | None = None
