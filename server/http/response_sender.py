"""Sending responses, also to clients that read slowly.

Unsent bytes are references to the bodies that all clients share, so a slow client costs no more
than the head of its response.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from server.http.connections.backlog import Backlog, UnsentAccount
from server.http.connections.connection import Connection
from server.http.wire_response import WireResponse

MAX_PIPELINED_BYTES = 128 * 1024  # of one client's responses, before other clients have a turn
MAX_PIPELINED_RESPONSES = 500  # sendmsg() takes 1024 pieces (IOV_MAX)

Act = Callable[[Connection], None]
Pieces = list[bytes | memoryview]


class ResponseSender:
    """Sends responses on connections of the running loop, and charges unsent bytes to `backlog`.

    While a client has unsent bytes, nothing is read from it; afterwards the loop calls `read`
    again. `close` ends a connection; `go_on` is called when everything is sent and the connection
    has pending requests or ends.
    """

    def __init__(self, backlog: Backlog, *, read: Act, close: Act, go_on: Act) -> None:
        self._loop = asyncio.get_running_loop()
        self._backlog = backlog
        self._read = read
        self._close = close
        self._go_on = go_on

    def send(self, connection: Connection, wire: bytes, answer: WireResponse) -> None:
        """Send one response, whose bytes with the current date are `wire`."""
        try:
            sent = connection.socket.send(wire)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent != len(wire):
            self._wait(connection, answer.rest(wire, sent), [answer.body])
        elif connection.pending or connection.ends:
            self._go_on(connection)

    def send_all(self, connection: Connection, answers: list[tuple[bytes, WireResponse]]) -> None:
        """Send the responses to pipelined requests, each with its bytes of this second."""
        try:
            sent = connection.socket.sendmsg([wire for wire, _ in answers])
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._close(connection)
            return
        unsent: Pieces = []
        bodies: list[bytes] = []
        for wire, answer in answers:
            if sent < len(wire):
                unsent += answer.rest(wire, sent)
                bodies.append(answer.body)
            sent = max(sent - len(wire), 0)
        if unsent:
            self._wait(connection, unsent, bodies)
        elif connection.pending or connection.ends:
            self._go_on(connection)

    def forget(self, connection: Connection) -> None:
        """Discard a client's unsent bytes, because its connection is closed or handed off."""
        connection.unsent.clear()
        if connection.account is not None:
            self._backlog.settle(connection.account)
            connection.account = None  # it refers to the connection

    def _wait(self, connection: Connection, unsent: Pieces, bodies: list[bytes]) -> None:
        self._loop.remove_reader(connection.descriptor)
        self._loop.add_writer(connection.descriptor, self._write, connection)
        connection.unsent = unsent
        own = len(connection.pending) + sum(len(each) for each in unsent if type(each) is bytes)
        if connection.account is None:
            connection.account = UnsentAccount(
                connection.descriptor, partial(self._close, connection)
            )
        self._backlog.charge(connection.account, own, *filter(None, bodies))

    def _write(self, connection: Connection) -> None:
        """Send more of a client's unsent bytes."""
        connection.seen = self._backlog.second
        unsent, account = connection.unsent, connection.account
        try:
            sent = connection.socket.sendmsg(unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(connection)
            return
        assert account is not None
        account.sent += sent
        while unsent and sent >= len(unsent[0]):
            sent -= len(unsent.pop(0))
        if unsent:
            unsent[0] = unsent[0][sent:]
            return
        self._backlog.settle(account)
        self._loop.remove_writer(connection.descriptor)
        self._loop.add_reader(connection.descriptor, self._read, connection)
        if connection.pending or connection.ends:
            self._go_on(connection)
