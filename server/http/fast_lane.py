"""The fast lane: reads a request, looks it up in the head cache, sends the cached response.

Every request that the head cache does not know is handed off to Tornado.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from server.config.addresses import client_network
from server.config.memory_budget import DEFAULT, MemoryBudget
from server.http.connections.acceptor import EVICTION_BATCH
from server.http.connections.connection import Connection
from server.http.connections.head_limits import IDLE_SECONDS
from server.http.connections.read_budget import ReadBudget
from server.http.eviction import Eviction
from server.http.handoff import HandoffServer
from server.http.head_cache import HeadCache
from server.http.request_intake import RequestIntake
from server.http.response_sender import MAX_PIPELINED_BYTES, MAX_PIPELINED_RESPONSES, ResponseSender
from server.http.wire_response import WireResponse

READ_BYTES = 16 * 1024
LAST_BYTES = 64 * 1024  # read and discarded after the last request
LINGER_SECONDS = 0.5  # from half-closing a connection to closing it
LINGER_STEPS = 25
CONNECTION_BYTES = 700  # memory of an idle connection
BLANK_LINE = b"\r\n\r\n"

LogHit = Callable[[WireResponse, bytes, Any, float], None]


class FastLane:
    """Serves the connections that it is given; must be created on the running loop.

    `log_hit(response, head, address, seconds)`, if given, is called for each response. Works on
    every loop that has `add_reader`, such as asyncio's and uvloop's.
    """

    def __init__(
        self,
        head_cache: HeadCache,
        tornado: HandoffServer,
        log_hit: LogHit | None = None,
        memory: MemoryBudget = DEFAULT,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._head_cache = head_cache
        head_cache.call_later = self._loop.call_later
        self._known = head_cache.answers  # request head → response that is ready to send
        self._tornado = tornado
        self._log_hit = log_hit
        self._connections: dict[int, Connection] = {}
        self._intake = RequestIntake(
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
        self._sender = ResponseSender(
            self._backlog, read=self._read, close=self._close, go_on=self._go_on_later
        )
        self._send = self._sender.send
        self._read_budget = ReadBudget(self._connections, self._read)
        self._second = 0
        self._is_open, self._drains = True, False

    @property
    def connections(self) -> list[Connection]:
        """The connections that are here, and not handed off to Tornado."""
        return list(self._connections.values())

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(not each.unsent and not each.pending for each in self._connections.values())

    @property
    def busy(self) -> int:
        """How many connections have unanswered requests or unsent responses."""
        return len(self._connections) - self.idle

    def take(
        self, connection: socket.socket, address: Any, network: str = "", received: bytes = b""
    ) -> None:
        """Serve a connection from now on; `received` are the bytes already read from it.

        `network` is the client's network, empty for a new connection. If the bound is reached, the
        connections that have been silent the longest are closed, or otherwise this one.
        """
        if len(self._connections) >= self._most:
            self.make_room(EVICTION_BATCH)
        if not self._is_open or len(self._connections) >= self._most:
            connection.close()
            return
        made = Connection(connection, address, network or client_network(address[0]), self._second)
        self._connections[made.descriptor] = made
        self._loop.add_reader(made.descriptor, self._read, made)
        if received:
            self._serve(made, received)

    def tick(self) -> None:
        """Advance the clock by one second, and close connections whose time is up."""
        self._second += 1
        self._head_cache.tick()
        self._intake.heads.tick(self._second)
        self._backlog.tick()
        if self._second % 5 == 0:
            self._eviction.close_silent(self._second - IDLE_SECONDS, len(self._connections))

    def make_room(self, count: int) -> int:
        """Close up to `count` connections that are not being answered; return how many."""
        return self._eviction.make_room(self._second, count)

    def drain(self) -> None:
        """Let Tornado answer every request from now on, with `Connection: close`."""
        self._drains, self._known = True, {}

    async def close(self) -> None:
        """Close every connection.

        Idle ones are half-closed first, so that clients notice an orderly end and not a failure.
        """
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
        if self._read_budget.is_spent and not connection.is_known:
            self._read_budget.defer(connection)
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
        began = 0.0 if self._log_hit is None else time.perf_counter()
        self._send(connection, answer.wire or self._head_cache.wire(answer), answer)
        if began:
            self._log_hits([(data, answer)], connection.address, began)

    def _begin(self, connection: Connection, data: bytes) -> None:
        """Handle everything that is not exactly one known head."""
        self._read_budget.spend()
        if data and self._is_open:
            connection.seen = self._second
            self._serve(connection, data)
        else:
            self._close(connection)

    def _serve(self, connection: Connection, data: bytes) -> None:
        """Answer as many pipelined requests as are known, then hand off the next one."""
        began, size, start = time.perf_counter(), 0, 0
        wires: list[tuple[bytes, WireResponse]] = []
        sent: list[tuple[bytes, WireResponse]] = []
        while (
            size < MAX_PIPELINED_BYTES
            and len(wires) < MAX_PIPELINED_RESPONSES
            and not connection.ends
        ):
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
        connection.pending = b"" if connection.ends else data[start:]
        if wires:
            self._sender.send_all(connection, wires)
            self._log_hits(sent, connection.address, began)
        else:
            self._intake.receive(connection, self._second)

    def _find(self, head: bytes) -> WireResponse | None:
        if self._drains:
            return None
        return self._head_cache.answers.get(head) or self._head_cache.learn(head)

    def _log_hits(self, sent: list[tuple[bytes, WireResponse]], address: Any, began: float) -> None:
        if self._log_hit is not None:
            seconds = time.perf_counter() - began
            for head, answer in sent:
                self._log_hit(answer, head, address, seconds)

    def _go_on_later(self, connection: Connection) -> None:
        """Close a connection that ends, or continue with its pending bytes in a later turn."""
        if connection.ends:
            with suppress(OSError):  # closing with unread bytes resets the connection
                connection.socket.recv(LAST_BYTES)
            self._close(connection)
            return
        self._loop.remove_reader(connection.descriptor)
        self._loop.call_soon(self._go_on, connection, connection.pending)

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
        self._intake.heads.forget(connection)
        self._sender.forget(connection)
        self._loop.remove_reader(connection.descriptor)
        self._loop.remove_writer(connection.descriptor)
