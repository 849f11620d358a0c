"""The fast lane against the same handlers without it: made-up streams get the same bytes."""

import asyncio
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from random import Random

from tests.support.lane_and_tornado import LAST, WARM, Pair
from tests.support.raw_http import said
from tests.system.attacks.mutation import Maker, Stream, again, is_alone, seeds

FEW, MANY = 160, 25_000  # for each kind of loop
AT_ONCE = 32
TOO_LARGE = re.compile(rb"HTTP/1\.1 (414|431) ")
OTHERS = ("/", "/healthz", "/api/artists/?limit=x", "/feeds/albums.atom/", "/api/nothing", "*")


def target(random: Random, marker: str) -> str:
    """What is warm, most of the time."""
    if random.random() < 0.75:
        return random.choice(WARM)
    return random.choice((*OTHERS, f"/api/artists/?q={marker}", f"http://freshet{WARM[0]}"))


async def answers(port: int, stream: Stream, quiet: float, *, ends: bool) -> bytes:
    """All that the server says to a stream until it closes, or says nothing for so long."""
    loop = asyncio.get_running_loop()
    with socket.socket() as wire:
        wire.setblocking(False)
        await loop.sock_connect(wire, ("127.0.0.1", port))
        with suppress(OSError):  # it may close before all is sent, and then has said why
            for piece in stream.pieces:
                await loop.sock_sendall(wire, piece)
                await asyncio.sleep(0)
            if ends:
                wire.shutdown(socket.SHUT_WR)
        return await said(lambda: loop.sock_recv(wire, 65536), quiet)


Ask = Callable[[Stream, float], Awaitable[tuple[bytes, bytes]]]


class Fuzz:
    """Sends streams, some at a time, and remembers which get two different answers from `ask`."""

    def __init__(self, numbers: Iterable[int], ask: Ask) -> None:
        self._numbers: Iterator[int] = iter(numbers)
        self._ask = ask
        self.streams = self.answers = 0
        self.different: dict[int, tuple[bytes, bytes]] = {}

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(AT_ONCE)))

    async def _client(self) -> None:
        for number in self._numbers:
            stream = Maker(number, target).stream(LAST)
            for patience in (0.3, 1.0, 4.0):  # it may have been busy
                one, other = await self._ask(stream, patience)
                if one == other:
                    break
            else:
                self.different[number] = one, other
            self.streams += 1
            self.answers += one.count(b"HTTP/1.1 ")

    def judge(self) -> None:
        print(f"\n{self.streams} streams, {self.answers} answers, {len(self.different)} differ")
        for number, (one, other) in self.different.items():
            stream = Maker(number, target).stream(LAST)
            print(f"{again(number, 'tests/system/attacks/test_differential.py')}\n{stream.pieces}")
            print(f"{one!r}\n{other!r}")
        assert not self.different
        assert self.answers > self.streams or is_alone()


def numbers(long: bool) -> Iterator[int]:
    return seeds(MANY if long else FEW, time.time_ns() % 10**9 if long else 0)


def test_no_stream_tells_the_lane_from_the_handlers(pair: Pair, long: bool) -> None:
    async def both(stream: Stream, quiet: float) -> tuple[bytes, bytes]:
        ours, theirs = await asyncio.gather(
            answers(pair.freshet.port, stream, quiet, ends=False),
            answers(pair.plain_port, stream, quiet, ends=False),
        )
        return ours, theirs

    async def ask(stream: Stream, quiet: float) -> tuple[bytes, bytes]:
        ours, theirs = await both(stream, quiet)
        if theirs.endswith(b"<open>") and TOO_LARGE.search(ours):
            # The lane alone refuses a head that is too large before it ends.
            return await both(replace(stream, pieces=[*stream.pieces, b"\r\n\r\n"]), quiet)
        return ours, theirs

    fuzz, before = Fuzz(numbers(long), ask), pair.hits
    pair.loop.run_until_complete(fuzz.run())
    fuzz.judge()
    assert pair.hits > before or is_alone()


def test_who_closes_its_half_gets_the_same_answers(pair: Pair, long: bool) -> None:
    async def ask(stream: Stream, quiet: float) -> tuple[bytes, bytes]:
        port = pair.freshet.port
        whole, half = await asyncio.gather(
            answers(port, stream, quiet, ends=False), answers(port, stream, quiet, ends=True)
        )
        return whole.removesuffix(b"<open>").removesuffix(b"<closed>"), half.removesuffix(
            b"<closed>"
        )

    fuzz = Fuzz(numbers(long), ask)
    pair.loop.run_until_complete(fuzz.run())
    fuzz.judge()
