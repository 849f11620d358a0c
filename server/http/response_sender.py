"""Sending answers, also to clients that take them slowly.

What a client has yet to take are references to the bodies that all share, so that a slow client
costs no more than the head of its answer.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from server.http.connections.connection import Connection
from server.http.connections.unsent import Backlog, Debt
from server.http.wire_response import WireResponse

MOST_BYTES = 128 * 1024  # of pipelined answers, before other clients have their turn
MOST_ANSWERS = 500  # and so many of them; the kernel takes 1024 pieces at once (IOV_MAX)

Act = Callable[[Connection], None]
Pieces = list[bytes | memoryview]


class Sender:
    """Sends answers on connections of the running loop, and keeps account of them in `backlog`.

    It reads nothing more from a client before that has taken what it was sent; then it lets the
    loop `read` again. `close` ends a connection; `go_on` is called when all is sent and there is
    more to do with it: it has unread requests, or ends.
    """

    def __init__(self, backlog: Backlog, *, read: Act, close: Act, go_on: Act) -> None:
        self._loop = asyncio.get_running_loop()
        self._backlog = backlog
        self._read = read
        self._close = close
        self._go_on = go_on

    def send(self, connection: Connection, wire: bytes, answer: WireResponse) -> None:
        """Send one answer, which is `wire` this second."""
        try:
            sent = connection.socket.send(wire)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent != len(wire):
            self._wait(connection, answer.rest(wire, sent), [answer.body])
        elif connection.unread or connection.ends:
            self._go_on(connection)

    def send_all(self, connection: Connection, answers: list[tuple[bytes, WireResponse]]) -> None:
        """Send several answers to pipelined requests, each with its wire of this second."""
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
        elif connection.unread or connection.ends:
            self._go_on(connection)

    def forget(self, connection: Connection) -> None:
        """Forget what a client has yet to take, because its connection is closed or lent."""
        connection.unsent.clear()
        if connection.debt is not None:
            self._backlog.settle(connection.debt)
            connection.debt = None  # which refers to the connection

    def _wait(self, connection: Connection, unsent: Pieces, bodies: list[bytes]) -> None:
        self._loop.remove_reader(connection.descriptor)
        self._loop.add_writer(connection.descriptor, self._write, connection)
        connection.unsent = unsent
        own = len(connection.unread) + sum(len(each) for each in unsent if type(each) is bytes)
        if connection.debt is None:
            connection.debt = Debt(connection.descriptor, partial(self._close, connection))
        self._backlog.owe(connection.debt, own, *filter(None, bodies))

    def _write(self, connection: Connection) -> None:
        """Send more of what a client has yet to take."""
        connection.seen = self._backlog.second
        unsent, debt = connection.unsent, connection.debt
        try:
            sent = connection.socket.sendmsg(unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(connection)
            return
        assert debt is not None
        debt.given += sent
        while unsent and sent >= len(unsent[0]):
            sent -= len(unsent.pop(0))
        if unsent:
            unsent[0] = unsent[0][sent:]
            return
        self._backlog.settle(debt)
        self._loop.remove_writer(connection.descriptor)
        self._loop.add_reader(connection.descriptor, self._read, connection)
        if connection.unread or connection.ends:
            self._go_on(connection)
