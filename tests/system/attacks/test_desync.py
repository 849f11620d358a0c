"""Requests that two readers could split in two ways, through real proxies, beside good clients.

Each request has a marker of its own that its answer repeats. So an answer of another's shows.
"""

import asyncio
import re
import socket
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from random import Random

import pytest

from tests.support.behind_proxies import PROGRAMS, ProxiedServer, proxied_server
from tests.support.proxies import LIST
from tests.system.attacks.mutation import Maker, Stream, again, is_alone, seeds

FEW, MANY = 100, 20_000
ATTACKERS, NEIGHBOURS = 24, 4
PAUSE = 0.005  # seconds between the requests of a neighbour
QUIET = 0.2  # seconds of silence after which a proxy is not waited for,
MEANWHILE = 20  # if the neighbours have got that many answers, however slow the machine is,
AT_MOST = 300  # and in any case after that many times QUIET
MARKER = re.compile(rb"m\d+x\d+m")
LAST = b"GET /healthz HTTP/1.1\r\nHost: freshet\r\nConnection: close\r\n\r\n"


proxied = proxied_server(PROGRAMS, "off")


def target(random: Random, marker: str) -> str:
    path = random.choice((LIST, LIST, LIST, "/api/albums/", "/feeds/albums.json"))
    return f"{path}?{random.choice(('q', 'q', 'q', 'limit', 'at'))}={marker}"


def address(random: Random) -> str:
    """One of this machine's, so that the limits of a client are not met."""
    return f"127.{random.randint(1, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}"


class Neighbour:
    """Asks on kept connections, and gets its own answers."""

    def __init__(self, port: int, number: int, list_body: bytes) -> None:
        self._port, self._random = port, Random(number)
        self._markers = (f"m{number}x{each}m" for each in count())
        self._list = list_body
        self.seen = Counter[str]()
        self.wrong: list[str] = []

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(address(self._random), 0)
            )
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                for _ in range(40):
                    await self._ask(reader, writer)
                    await asyncio.sleep(PAUSE)
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        marker = next(self._markers)
        path = self._random.choice((LIST, f"{LIST}?q={marker}", f"/api/albums/?limit={marker}"))
        method = self._random.choice(("GET", "GET", "HEAD"))
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n"
        writer.write(head.encode())
        said = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", said)
        body = await reader.readexactly(int(length[1])) if length and method == "GET" else b""
        status = int(said.split()[1])
        self.seen[f"{status}"] += 1
        if method == "HEAD":
            right = status == (400 if "limit" in path else 200)
        elif path == LIST:
            right = body == self._list
        else:
            right = MARKER.findall(body)[:1] == [marker.encode()]
        if not right or not said.startswith(b"HTTP/1.1 "):
            self.wrong.append(f"{method} {path}: {said!r} {body[:500]!r}")


async def send(port: int, stream: Stream, answers: Callable[[], int]) -> bytes:
    """All that comes back for a stream. `answers` counts those that the neighbours have got."""
    loop = asyncio.get_running_loop()
    with socket.socket() as wire:
        wire.setblocking(False)
        wire.bind((address(Random(stream.seed)), 0))
        with suppress(OSError):
            await loop.sock_connect(wire, ("127.0.0.1", port))
            for piece in stream.pieces:
                await loop.sock_sendall(wire, piece)
                await asyncio.sleep(0)
            if stream.ends:
                wire.shutdown(socket.SHUT_WR)
        return await received(wire, answers)


async def received(wire: socket.socket, answers: Callable[[], int]) -> bytes:
    """All that comes until the connection ends, or nothing comes any more."""
    loop, got, before = asyncio.get_running_loop(), bytearray(), answers()
    silent = 0
    while silent < AT_MOST and not (silent and answers() - before >= MEANWHILE):
        try:
            chunk = await asyncio.wait_for(loop.sock_recv(wire, 65536), QUIET)
        except TimeoutError:
            silent += 1
            continue
        except OSError:
            break
        if not chunk:
            break
        got += chunk
        silent, before = 0, answers()
    return bytes(got)


def fault(stream: Stream, received: bytes) -> str | None:
    """Whether an answer is another's, or in the place of another."""
    shown = list(dict.fromkeys(MARKER.findall(received)))
    own = [marker.encode() for marker in stream.markers]
    folded = unicodedata.normalize("NFKC", stream.sent.decode("latin-1")).lower()
    mutilated = MARKER.findall(folded.encode())  # as searches are shown
    if not set(shown) <= {*own, *mutilated}:
        return "an answer of another's"
    if not stream.mutilated and shown != [each for each in own if each in shown]:
        return "answers in another order"
    return None


@pytest.mark.slow
def test_nobody_gets_an_answer_of_anothers(proxied: ProxiedServer, long: bool) -> None:
    first = time.time_ns() % 10**9 if long else 0
    numbers, faults = seeds(MANY if long else FEW, first), []
    counts = Counter[str]()
    port = proxied.front.port

    async def attacker(neighbours: list[Neighbour]) -> None:
        for number in numbers:
            stream = Maker(number, target).stream(LAST)
            got = await send(port, stream, lambda: sum(each.seen.total() for each in neighbours))
            counts["streams"] += 1
            counts["answers"] += len(re.findall(rb"HTTP/1\.[01] \d{3} ", got))
            counts["own markers"] += len(set(MARKER.findall(got)))
            if what := fault(stream, got):
                faults.append(f"{what}; {again(number, 'tests/system/attacks/test_desync.py')}")
                faults.append(f"{stream.pieces!r}\n{got!r}")

    async def run() -> list[Neighbour]:
        expected = (await proxied.direct.get(LIST)).body
        neighbours = [
            Neighbour(port, 2 * 10**9 + first + number, expected) for number in range(NEIGHBOURS)
        ]
        over = asyncio.Event()
        asking = [asyncio.create_task(each.run(over)) for each in neighbours]
        await asyncio.gather(*(attacker(neighbours) for _ in range(ATTACKERS)))
        over.set()
        await asyncio.gather(*asking)
        return neighbours

    neighbours = proxied.run(run())
    seen = sum((each.seen for each in neighbours), Counter[str]())
    print(f"\n{proxied.name}, from {first} on: {dict(counts)}; neighbours: {dict(seen)}")
    assert not faults, "\n".join(faults)
    wrong = [each for neighbour in neighbours for each in neighbour.wrong]
    assert not wrong, f"{len(wrong)}: {wrong[:3]}"
    assert min(counts["own markers"], seen["200"], seen["400"]) >= 20 or is_alone()


def test_an_answer_of_anothers_would_be_seen() -> None:
    stream = Stream(1, [], markers=["m1x0m", "m1x1m"])
    assert fault(stream, b"m1x0m m1x0m m1x1m") is None
    assert fault(stream, b"m1x0m m2x0m") == "an answer of another's"
    assert fault(stream, b"m1x1m m1x0m") == "answers in another order"
    assert fault(Stream(1, [b"q=M1x7m"], mutilated=True), b"m1x7m") is None
