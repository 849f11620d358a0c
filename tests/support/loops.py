"""An event loop of its own for each test, with nothing left running afterwards."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.netutil import DefaultLoopResolver, Resolver
from tornado.platform.asyncio import AsyncIOLoop

from server.config import settings as config
from tests.support.paths import ROOT


class DirectResolver(DefaultLoopResolver):
    """Tornado's resolver, but without its thread for what is an address already.

    Nearly all requests of tests go to 127.0.0.1, and a thread costs each more than the rest of it.
    """

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        numeric = socket.AI_NUMERICHOST
        try:
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=numeric)
        except (socket.gaierror, UnicodeError):
            return await super().resolve(host, port, family)
        return [(each[0], each[4]) for each in found]


def pytest_configure() -> None:
    Resolver.configure(DirectResolver)


@pytest.fixture
def io_loop() -> Iterator[AsyncIOLoop]:
    """pytest-tornado's loop, but cleaned up: what a test leaves running is cancelled."""
    loop = AsyncIOLoop(make_current=False)
    asyncio.set_event_loop(loop.asyncio_loop)
    yield loop
    pending = asyncio.all_tasks(loop.asyncio_loop)
    for task in pending:
        task.cancel()
    loop.asyncio_loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.asyncio_loop.run_until_complete(loop.asyncio_loop.shutdown_asyncgens())
    loop.asyncio_loop.run_until_complete(loop.asyncio_loop.shutdown_default_executor())
    loop.close(all_fds=True)
    asyncio.set_event_loop(None)


Closing = Callable[[Callable[[], Awaitable[Any]]], None]


@pytest.fixture
def closing(io_loop: AsyncIOLoop) -> Iterator[Closing]:
    """Register coroutine functions to be awaited at the end of the test, last first."""
    endings: list[Callable[[], Awaitable[Any]]] = []
    yield endings.append
    for ending in reversed(endings):
        io_loop.asyncio_loop.run_until_complete(ending())


@contextmanager
def own_loop(
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for a server that all tests of a module share; a developer's `.env` is not read."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "ENV_FILE", ROOT / "no.env")
        yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    asyncio.set_event_loop(None)
