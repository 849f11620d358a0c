"""An event loop of its own for each test, with nothing left running afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.netutil import Resolver
from tornado.platform.asyncio import AsyncIOLoop

from server.config import settings as config
from tests.support.http_client import NumbersFirst
from tests.support.paths import ROOT


def pytest_configure() -> None:
    """Let all clients find 127.0.0.1 without a thread, those of the product too."""
    Resolver.configure(NumbersFirst)


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


@contextmanager
def shared_io_loop() -> Iterator[AsyncIOLoop]:
    """One loop for all tests of a module, which share a server."""
    made = AsyncIOLoop(make_current=False)
    with own_loop(lambda: made.asyncio_loop):
        yield made


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
