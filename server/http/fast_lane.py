"""Connections in the lane: read, look up, send; and lend what is not known."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from server.config.addresses import client_network
from server.config.memory_budget import DEFAULT, Budget
from server.http.connections.acceptor import ROOM
from server.http.connections.connection import Connection
from server.http.connections.head_limits import IDLE_SECONDS
from server.http.connections.read_budget import Portions
from server.http.eviction import Eviction
from server.http.handoff import HandoffServer
from server.http.head_cache import HeadCache
from server.http.request_intake import Reception
from server.http.response_sender import MOST_ANSWERS, MOST_BYTES, Sender
from server.http.wire_response import WireResponse

READ_BYTES = 16 * 1024
LAST_BYTES = 64 * 1024  # read, and thrown away, behind the last request
LINGER_SECONDS = 0.5  # for clients to hear of the end before the connection goes
LINGER_STEPS = 25
CONNECTION_BYTES = 700  # of memory for a connection that is idle
BLANK_LINE = b"\r\n\r\n"

Tell = Callable[[WireResponse, bytes, Any, float], None]


class Lane:
    """Serves the connections it is given, on the running loop; to be made on it.

    `tell(answer, head, address, seconds)`, if given, is called for each answer sent to an address.
    It works on any loop that has `add_reader`: asyncio's and uvloop's alike.
    """

    def __init__(
        self,
        head_cache: HeadCache,
        tornado: HandoffServer,
        tell: Tell | None = None,
        memory: Budget = DEFAULT,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._head_cache = head_cache
        head_cache.call_later = self._loop.call_later
        self._known = head_cache.answers  # what needs no more than to be sent
        self._tornado = tornado
        self._tell = tell
        self._connections: dict[int, Connection] = {}
        self._reception = Reception(
            tornado,
            go_on=self._go_on,
            take=self.take,
            forget=self._forget,
            close=self._close,
            heads=memory.heads,
        )
        self._most = memory.connections // CONNECTION_BYTES
        self._eviction = Eviction(self._connections, tornado, self._close)
        self._backlog = tornado.backlog
        self._sender = Sender(
            self._backlog, read=self._read, close=self._close, go_on=self._go_on_later
        )
        self._send = self._sender.send
        self._portions = Portions(self._connections, self._read)
        self._second = 0
        self._is_open, self._drains = True, False

    @property
    def connections(self) -> list[Connection]:
        """Those that are here, and not lent."""
        return list(self._connections.values())

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(not each.unsent and not each.unread for each in self._connections.values())

    @property
    def busy(self) -> int:
        """How many connections have answers that are not sent yet."""
        return len(self._connections) - self.idle

    def take(
        self, connection: socket.socket, address: Any, network: str = "", unread: bytes = b""
    ) -> None:
        """Serve a connection from now on, of which `unread` has been read already.

        `network` is that of its client, empty for a new one. If there are too many connections,
        those that have been silent the longest are closed, or else this one.
        """
        if len(self._connections) >= self._most:
            self.make_room(ROOM)
        if not self._is_open or len(self._connections) >= self._most:
            connection.close()
            return
        made = Connection(connection, address, network or client_network(address[0]), self._second)
        self._connections[made.descriptor] = made
        self._loop.add_reader(made.descriptor, self._read, made)
        if unread:
            self._serve(made, unread)

    def tick(self) -> None:
        """Tell the memo that a second has passed, and close connections whose time is up."""
        self._second += 1
        self._head_cache.tick()
        self._reception.heads.tick(self._second)
        self._backlog.tick()
        if self._second % 5 == 0:
            self._eviction.close_silent(self._second - IDLE_SECONDS, len(self._connections))

    def make_room(self, count: int) -> int:
        """Close up to `count` connections that are not being answered, and tell how many."""
        return self._eviction.make_room(self._second, count)

    def drain(self) -> None:
        """Let Tornado answer from now on, which says that the connection closes."""
        self._drains, self._known = True, {}

    async def close(self) -> None:
        """Close every connection, idle ones so that no client takes it for a failure."""
        self.drain()
        self._is_open = False
        for each in tuple(self._connections.values()):
            if each.unsent:
                self._close(each)
                continue
            try:
                each.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(each)
        for _ in range(LINGER_STEPS):
            if not self._connections:
                break
            await asyncio.sleep(LINGER_SECONDS / LINGER_STEPS)
        for each in tuple(self._connections.values()):
            self._close(each)

    def _read(self, connection: Connection) -> None:
        if self._portions.is_spent and not connection.is_known:
            self._portions.put_off(connection)
            return
        try:
            data = connection.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        answer = self._known.get(data)
        if answer is None or answer.closes:
            self._begin(connection, data)
            return
        answer.hits += 1
        connection.seen, connection.is_known = self._second, True
        began = 0.0 if self._tell is None else time.perf_counter()
        self._send(connection, answer.wire or self._head_cache.wire(answer), answer)
        if began:
            self._tell_of([(data, answer)], connection.address, began)

    def _begin(self, connection: Connection, data: bytes) -> None:
        """All that is not exactly one known head."""
        self._portions.spend()
        if data and self._is_open:
            connection.seen = self._second
            self._serve(connection, data)
        else:
            self._close(connection)

    def _serve(self, connection: Connection, data: bytes) -> None:
        """Answer as many requests as are known, then lend the connection for the next one."""
        began, size, start = time.perf_counter(), 0, 0
        wires: list[tuple[bytes, WireResponse]] = []
        sent: list[tuple[bytes, WireResponse]] = []
        while size < MOST_BYTES and len(wires) < MOST_ANSWERS and not connection.ends:
            end = data.find(BLANK_LINE, start) + len(BLANK_LINE)
            answer = self._find(data[start:end]) if end >= len(BLANK_LINE) else None
            if answer is None:
                break
            answer.hits += 1
            wire = self._head_cache.wire(answer)
            wires.append((wire, answer))
            sent.append((data[start:end], answer))
            size += len(wire)
            connection.ends = answer.closes
            start = end
        connection.unread = b"" if connection.ends else data[start:]
        if wires:
            self._sender.send_all(connection, wires)
            self._tell_of(sent, connection.address, began)
        else:
            self._reception.receive(connection, self._second)

    def _find(self, head: bytes) -> WireResponse | None:
        if self._drains:
            return None
        return self._head_cache.answers.get(head) or self._head_cache.learn(head)

    def _tell_of(self, sent: list[tuple[bytes, WireResponse]], address: Any, began: float) -> None:
        if self._tell is not None:
            seconds = time.perf_counter() - began
            for head, answer in sent:
                self._tell(answer, head, address, seconds)

    def _go_on_later(self, connection: Connection) -> None:
        """Close what has ended; else it is the turn of others before that of what is unread."""
        if connection.ends:
            with suppress(OSError):  # what is left unread would take the last answer with it
                connection.socket.recv(LAST_BYTES)
            self._close(connection)
            return
        self._loop.remove_reader(connection.descriptor)
        self._loop.call_soon(self._go_on, connection, connection.unread)

    def _go_on(self, connection: Connection, data: bytes) -> None:
        if self._connections.get(connection.descriptor) is connection:
            self._loop.add_reader(connection.descriptor, self._read, connection)
            self._serve(connection, data)

    def _close(self, connection: Connection) -> None:
        if self._connections.get(connection.descriptor) is connection:
            self._forget(connection)
            connection.socket.close()

    def _forget(self, connection: Connection) -> None:
        del self._connections[connection.descriptor]
        self._reception.heads.forget(connection)
        self._sender.forget(connection)
        self._loop.remove_reader(connection.descriptor)
        self._loop.remove_writer(connection.descriptor)
