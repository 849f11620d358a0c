"""Faults of the connection: bytes written by hand to a connection that Tornado has given up."""

import asyncio
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from http.client import responses
from typing import Final

from tornado.iostream import IOStream, StreamClosedError

from server.standin.faults.definitions import Fault
from server.standin.faults.responses import JSON_TYPE, SAMPLE

Play = Callable[[IOStream], Awaitable[None]]

HUGE: Final = 50_000_000
"""Bytes of a body that is too long, sent as they are or compressed."""
_FEW: Final = 7
"""Bytes that `drip` sends at a time."""
_GARBAGE: Final = b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe\x00 not HTTP at all\r\n\r\n"
OPENING_WELL: Final = ("truncated", "huge", "gzip-bomb", "long-head", "tiny-chunks")
_OPENING, _ENDING = b'{"albums":{"items":[', b"]}}"


class FaultyConnections:
    """The connections on which a fault is being played; this class closes them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> int:
        """How many connections there are at the moment."""
        return len(self._tasks)

    def take(self, stream: IOStream, play: Play) -> None:
        """Play on `stream` until the end or until the client disconnects, then close it."""

        def stop() -> None:
            task.cancel()

        task = asyncio.create_task(_perform(stream, play))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: stream.close())
        stream.set_close_callback(stop)

    async def close(self) -> None:
        """Close all of them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _perform(stream: IOStream, play: Play) -> None:
    with suppress(StreamClosedError):
        await play(stream)


def play_for(fault: Fault) -> Play:
    """Return the coroutine function that plays a fault on a connection."""
    return {
        "stall": lambda stream: asyncio.sleep(fault.duration),
        "cut": lambda stream: stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: applicat"),
        "reset": _reset,
        "garbage": lambda stream: stream.write(_GARBAGE),
        "truncated": _truncate,
        "huge": _flood,
        "gzip-bomb": _bomb,
        "long-head": _boast,
        "tiny-chunks": _crumble,
    }[fault.fault]


def status_of(fault: Fault) -> int:
    """Return the status that the client sees, 0 if none."""
    return 200 if fault.fault in OPENING_WELL else 0


async def drip(
    stream: IOStream, status: int, headers: Iterable[tuple[str, str]], body: bytes, seconds: float
) -> None:
    """Send a response whose body arrives a few bytes at a time, over `seconds`."""
    stream.set_nodelay(True)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await stream.write(_head(status, *headers, ("Content-Length", str(len(body)))))
    for start in range(0, len(body), _FEW):
        await stream.write(body[start : start + _FEW])
        due = begin + seconds * min(1, (start + _FEW) / len(body))
        await asyncio.sleep(max(0, due - loop.time()))


async def _reset(stream: IOStream) -> None:
    """Have the kernel send a reset when the connection is closed, instead of an orderly end."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _truncate(stream: IOStream) -> None:
    length = str(len(SAMPLE) + 1000)
    await stream.write(_head(200, ("Content-Type", JSON_TYPE), ("Content-Length", length)) + SAMPLE)


async def _flood(stream: IOStream) -> None:
    chunked = ("Transfer-Encoding", "chunked")
    await stream.write(_head(200, ("Content-Type", JSON_TYPE), chunked))
    async for piece in _pieces():
        await stream.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    await stream.write(b"0\r\n\r\n")


async def _bomb(stream: IOStream) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)  # 31: the gzip format
    body = b"".join([packer.compress(piece) async for piece in _pieces()]) + packer.flush()
    headers = [("Content-Type", JSON_TYPE), ("Content-Encoding", "gzip")]
    await stream.write(_head(200, *headers, ("Content-Length", str(len(body)))) + body)


async def _boast(stream: IOStream) -> None:
    """Send a valid response whose head has 60 000 bytes."""
    fields = [(f"X-Boast-{number}", "la " * 20) for number in range(800)]
    length = ("Content-Length", str(len(SAMPLE)))
    await stream.write(_head(200, ("Content-Type", JSON_TYPE), length, *fields) + SAMPLE)


async def _crumble(stream: IOStream) -> None:
    """Send 30 000 spaces, each as a chunk of its own, and then a response."""
    chunked = ("Transfer-Encoding", "chunked")
    await stream.write(_head(200, ("Content-Type", JSON_TYPE), chunked))
    for _ in range(3):
        await stream.write(b"1\r\n \r\n" * 10_000)
    await stream.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(SAMPLE), SAMPLE))


async def _pieces() -> AsyncIterator[bytes]:
    """Yield a valid JSON body of over HUGE bytes in pieces; the loop runs in between."""
    item = b'{"name":"%s"}' % (b"la " * 20_000)
    yield _OPENING + item
    for _ in range(HUGE // len(item)):
        yield b"," + item
        await asyncio.sleep(0)
    yield _ENDING


def _head(status: int, *headers: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin1")
