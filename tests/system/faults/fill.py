"""Clients that make a server keep as much as it lets them, each kind of it as docs/operating.md."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta

from server.config.memory_budget import DEFAULT
from server.database.admission import REQUEST_BYTES
from tests.support.examples import spotify_id

AHEAD = date(2100, 1, 1)  # no release is kept out by that
LOCAL = 200  # addresses of loopback that connections come from, for limits go by address
HEAD_BYTES = 15_000
BODY_BYTES = 15_000
WAIT_SECONDS = 10.0
AT_ONCE = 40  # queries, more than a server runs at a time


class Filler:
    """`held` are the connections that stay open until `leave`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.held: list[socket.socket] = []

    def connect(self) -> socket.socket:
        """A connection that stays."""
        made = socket.socket()
        made.settimeout(30)
        made.bind((f"127.0.0.{1 + len(self.held) % LOCAL}", 0))
        made.connect(("127.0.0.1", self._port))
        self.held.append(made)
        return made

    def leave(self) -> None:
        """Close all connections."""
        for each in self.held:
            each.close()
        self.held.clear()

    def read(self, targets: Iterator[str]) -> None:
        """Ask for each target, and read the answers."""
        wire = self.connect()
        for target in targets:
            wire.sendall(head(target))
            _read_one(wire)

    def queries(self, count: int) -> None:
        """Fill the shelf, and what the lane knows: large answers, each asked for three times.

        With an offset they come from memory alone.
        """
        days = [AHEAD + timedelta(days=each) for each in range(count)]
        target = "/api/artists/?limit=500&offset=1&released_before="
        self.read(f"{target}{day}" for day in days for _ in "123")

    def small_queries(self, count: int) -> None:
        """Fill the shelf with answers that are small beside what is kept for each."""
        self.read(f"/api/albums/?limit=1&q=none{number}" for number in range(count))

    def spellings(self) -> None:
        """Fill the memory of spellings with the longest ones."""
        junk = 3900 * "x"
        count = DEFAULT.hot_queries // len(junk) + 50
        self.read(f"/api/artists/?limit=1&{number}={junk}" for number in range(count))

    def past_days(self, count: int, today: date) -> None:
        """Fill the days gone by."""
        days = [today - timedelta(days=each) for each in range(1, count + 1)]
        self.read(f"/api/artists/?limit=1&at={day}" for day in days)

    def artists(self, count: int, strange: int, known: int) -> None:
        """Fill the lists of artists, ten at once: of `known` with many releases, and of nobody."""
        lists = [
            ",".join(spotify_id("artist", (first + each) % known) for each in range(50))
            for first in range(count)
        ]
        lists += [
            ",".join(f"{number:04}{each:018}" for each in range(50)) for number in range(strange)
        ]
        wires = [self.connect() for _ in range(AT_ONCE // 4)]
        for start in range(0, len(lists), len(wires)):
            asked = list(zip(wires, lists[start : start + len(wires)], strict=False))
            for wire, ids in asked:
                wire.sendall(head(f"/api/albums/?limit=1&artist={ids}"))
            for wire, _ in asked:
                _read_one(wire)

    def mine(self, key: str) -> None:
        """Read the lists of an owner of many artists, and some of the artists alone, at once."""
        ids = [",".join(spotify_id("artist", each + step) for each in range(50)) for step in (0, 9)]
        targets = ["albums/", "artists/", *(f"albums/?artist={each}" for each in ids)]
        wires = [self.connect() for _ in range(8)]
        for number, wire in enumerate(wires):
            wire.sendall(head(f"/api/my/{targets[number % len(targets)]}", key=key))
        for wire in wires:
            _read_one(wire)

    def heads(self) -> None:
        """Fill what is kept of heads that do not end."""
        for _ in range(DEFAULT.heads // HEAD_BYTES + 20):
            self.connect().sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + HEAD_BYTES * b"x")

    def bodies(self, count: int) -> None:
        """Fill what is kept of bodies that do not end."""
        start = b"POST /auth/logout/ HTTP/1.1\r\nHost: x\r\nContent-Length: 16000\r\n\r\n"
        for _ in range(count):
            with suppress(OSError):
                self.connect().sendall(start + BODY_BYTES * b"x")

    def listeners(self) -> int:
        """Open event streams until one is refused; how many are open."""
        return self._until_refused(lambda number: "/api/events")

    def waiting(self, more: int = 10) -> int:
        """Ask for pages of the journal, which is locked, with long heads; how many are refused.

        The first pages are the largest there are.
        """
        count = DEFAULT.waiting // REQUEST_BYTES + more
        asked = [self.connect() for _ in range(count)]
        for number, wire in enumerate(asked):
            limit = 1000 if number < AT_ONCE else 1
            wire.sendall(head(f"/api/changes/?limit={limit}", 12_000))
        answered, refused = select.poll(), 0
        by_descriptor = {wire.fileno(): wire for wire in asked}
        for descriptor in by_descriptor:
            answered.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + WAIT_SECONDS
        while refused < more and time.monotonic() < deadline:
            for descriptor, _ in answered.poll(100):
                got = by_descriptor[descriptor].recv(64)
                assert got.startswith(b"HTTP/1.1 503"), got
                answered.unregister(descriptor)
                refused += 1
        return refused

    def unread(self, count: int, target: Callable[[int], str]) -> None:
        """Ask for large answers, and read nothing."""
        for number in range(count):
            wire = self.connect()
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with suppress(OSError):
                wire.sendall(4 * head(target(number)))

    def idle(self, count: int) -> None:
        """Connections that say nothing."""
        for _ in range(count):
            self.connect()

    def _until_refused(self, target: Callable[[int], str]) -> int:
        count = 0
        while True:
            wire = self.connect()
            wire.sendall(head(target(count)))
            if not wire.recv(4096).startswith(b"HTTP/1.1 200"):
                return count
            count += 1


def head(target: str, size: int = 0, key: str = "") -> bytes:
    """A plain request; with `size`, one with a header of so many bytes; with `key`, of an owner."""
    more = b"X-Long: " + size * b"x" + b"\r\n" if size else b""
    more += f"Authorization: Bearer {key}\r\n".encode() if key else b""
    return b"GET " + target.encode() + b" HTTP/1.1\r\nHost: test\r\n" + more + b"\r\n"


def _read_one(wire: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        chunk = wire.recv(65536)
        assert chunk, "closed"
        got += chunk
    fields, _, body = got.partition(b"\r\n\r\n")
    assert fields.startswith(b"HTTP/1.1 200"), fields
    left = int(fields.split(b"Content-Length: ")[1].split(b"\r\n")[0]) - len(body)
    while left:
        left -= len(wire.recv(min(left, 1 << 20)))
