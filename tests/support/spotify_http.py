"""The transport to Spotify, and servers that answer it with any bytes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders
from tornado.platform.asyncio import AsyncIOLoop

from server.spotify.transport import Response, Transport
from tests.support.loops import Closing


class RawServer:
    """Answers every connection with the same bytes, and keeps the heads and bodies it was sent."""

    def __init__(self, answer: bytes, *, stays_open: bool = False, delay: float = 0) -> None:
        self._answer, self._stays_open, self._delay = answer, stays_open, delay
        self.heads: list[str] = []
        self.bodies: list[str] = []
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            length = [line for line in head.splitlines() if line.startswith("Content-Length")]
            if length:
                self.bodies.append((await reader.readexactly(int(length[0].split()[1]))).decode())
            await asyncio.sleep(self._delay)
            writer.write(self._answer)
            await writer.drain()
            if self._stays_open:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


StartRaw = Callable[..., Awaitable[RawServer]]


@pytest.fixture
def start_raw(closing: Closing) -> StartRaw:
    """Start a raw server from inside a test's coroutine; it is stopped afterwards."""

    async def start(answer: bytes, **options: Any) -> RawServer:
        server = RawServer(answer, **options)
        await server.start()
        closing(server.stop)
        return server

    return start


@pytest.fixture
def transport(io_loop: AsyncIOLoop) -> Iterator[Transport]:
    transport = Transport(seconds=2)
    yield transport
    transport.close()


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def response(body: bytes) -> Response:
    return Response(200, HTTPHeaders(), body)
