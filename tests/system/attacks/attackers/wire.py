"""Connections of an attacker, and requests over them."""

import asyncio
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

ADDRESS = "127.0.0.66"  # of all attackers; everybody else comes from 127.0.0.1
AT_ONCE = 100  # connections made before the server has its turn
END = b"\r\n\r\n"
PATIENCE = 5.0  # seconds for one answer
LARGEST = "/api/artists/?release_limit=200&include=markets"

Told = dict[str, Any]


class Target:
    """The server on `port`, until the end of the attack."""

    def __init__(self, port: int, seconds: float) -> None:
        self.port = port
        self.end = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.end

    async def wait(self) -> None:
        await asyncio.sleep(max(0.0, self.end - time.monotonic()))

    async def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """Raises OSError."""
        wire = socket.socket()
        try:
            wire.bind((ADDRESS, 0))
            if receive_buffer is not None:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            wire.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(wire, ("127.0.0.1", self.port)), PATIENCE)
        except BaseException:
            wire.close()
            raise
        return wire

    async def crowd(self, count: int, receive_buffer: int | None = None) -> list[socket.socket]:
        """So many connections, as far as the server takes them."""
        wires: list[socket.socket] = []
        while len(wires) < count and not self.is_over:
            more = min(AT_ONCE, count - len(wires))
            made = await asyncio.gather(
                *(self.connect(receive_buffer) for _ in range(more)), return_exceptions=True
            )
            wires += [each for each in made if isinstance(each, socket.socket)]
            if any(isinstance(each, BaseException) for each in made):
                break
        return wires


async def send(wire: socket.socket, data: bytes) -> bool:
    """Send all, with some patience; whether the server has taken it."""
    loop = asyncio.get_running_loop()
    try:
        await asyncio.wait_for(loop.sock_sendall(wire, data), PATIENCE)
    except (OSError, TimeoutError):
        return False
    return True


def push(wires: Iterable[socket.socket], data: bytes) -> None:
    """Send to each as much as its buffers take."""
    for wire in wires:
        with suppress(OSError):
            wire.send(data)


def left(wires: Iterable[socket.socket]) -> int:
    """How many the server has not ended, whatever is still to be read."""
    ended = select.poll()
    count = 0
    for wire in wires:
        ended.register(wire, select.POLLRDHUP)
        count += 1
    return count - len(ended.poll(0))


def get(path: str, fields: str = "", method: str = "GET", host: str = "test") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode("latin-1")


async def read_head(wire: socket.socket) -> bytes:
    """Read the head of an answer without a body; empty if the server closes or says nothing."""
    loop, got = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(PATIENCE):
            while END not in got:
                chunk = await loop.sock_recv(wire, 65536)
                if not chunk:
                    return b""
                got += chunk
    except (OSError, TimeoutError):
        return b""
    return got


async def answer(wire: socket.socket, patience: float = PATIENCE) -> str:
    """Read an answer as far as it goes; its status, or "closed" or "silent"."""
    loop, got = asyncio.get_running_loop(), b""
    try:
        async with asyncio.timeout(patience):
            while END not in got:
                chunk = await loop.sock_recv(wire, 65536)
                if not chunk:
                    return "closed"
                got += chunk
            head, _, body = got.partition(END)
            _, _, length = head.lower().partition(b"\r\ncontent-length: ")
            missing = int(length.split(b"\r\n")[0] or 0) - len(body)
            while missing > 0 and (chunk := await loop.sock_recv(wire, 65536)):
                missing -= len(chunk)
            return head.split(b" ", 2)[1].decode()
    except TimeoutError:
        return "silent"
    except (OSError, IndexError, ValueError):
        return "closed"


async def flood(
    target: Target, make: Callable[[int], bytes], clients: int = 4, most: int = 1_000_000
) -> Told:
    """Ask as fast as answers come, over `clients` connections, up to `most` requests; statuses.

    `make` gives the request of a number.
    """
    seen: Counter[str] = Counter()
    numbers = iter(range(most))

    async def client() -> None:
        wire: socket.socket | None = None
        for number in numbers:
            if target.is_over:
                break
            try:
                if wire is None:
                    wire = await target.connect()
            except OSError:
                seen["refused"] += 1
                await asyncio.sleep(0.05)
                continue
            await send(wire, make(number))
            status = await answer(wire)
            seen[status] += 1
            if status in ("closed", "silent") or status.startswith(("400", "431")):
                wire.close()
                wire = None
        if wire is not None:
            wire.close()

    await together(client() for _ in range(clients))
    return dict(seen)


async def together(clients: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    return list(await asyncio.gather(*clients))
