"""A server without background work, and clients of it that are plain sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from server.app.application import Application
from tests.support.examples import albums
from tests.support.raw_http import quiet
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn

Connect = Callable[..., Awaitable[socket.socket]]


def quiet_server(releases: int) -> Any:
    """Make a fixture that starts a server with `releases` releases, after its first sync."""

    @pytest.fixture
    def start(start_freshet: StartFreshet, start_standin: StartStandIn) -> Callable[..., Any]:
        async def go(**overrides: Any) -> Application:
            freshet: Application = await start_freshet(start_standin(albums(releases)), **overrides)
            await quiet(freshet)
            return freshet

        return go

    return start


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return a function that connects a socket, closed after the test."""
    clients: list[socket.socket] = []

    async def go(freshet: Application, receive_buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        clients.append(client)
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", freshet.port))
        return client

    yield go
    for client in clients:
        client.close()
