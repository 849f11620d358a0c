"""A client's connection while it is in the lane."""

import socket
from typing import Any

from server.http.connections.unsent import Debt


class Connection:
    """`unread` are requests read but not answered yet, `unsent` what the client has yet to take.

    `debt` is the account of `unsent` in the backlog, once there has been any. `head` is the part
    of a request head that has arrived, while the rest has not. `network` is that of the client
    (see `client_network`), by which connections are counted. `seen` is the second in which
    something last went over the connection, or, while there is a `head`, that of its first byte.
    `ends` says that the connection is closed once all is sent; `is_known` that a request of it was
    known.
    """

    __slots__ = (
        "address",
        "debt",
        "descriptor",
        "ends",
        "head",
        "is_known",
        "network",
        "seen",
        "socket",
        "unread",
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
        self.unread = b""
        self.unsent: list[bytes | memoryview] = []
        self.debt: Debt | None = None
