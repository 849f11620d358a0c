"""Answers waiting to be taken: shared, bounded, and ended where a client is too slow."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from server.app.application import Application
from server.http.connections.backlog import (
    GRACE_SECONDS,
    LEAST_BYTES,
    WINDOW_SECONDS,
    Backlog,
    UnsentAccount,
    queued,
)
from tests.support.metrics import samples_of
from tests.support.sockets import Connect, quiet_server
from tests.support.waiting import until

PATIENCE = GRACE_SECONDS + WINDOW_SECONDS
HEADS = {
    "lane": b"GET /api/artists/%s HTTP/1.1\r\nHost: freshet\r\n\r\n",
    "tornado": b"GET /api/artists/%s HTTP/1.1\r\nHost: freshet\r\nX-A: 1\r\nX-A: 2\r\n\r\n",
}
MANY = 60  # answers of 40 kB: more than the buffers of the kernel take

start = quiet_server(20)  # its default answer is about 40 kB


@pytest.fixture
def ask(connect: Connect) -> Connect:
    """Make clients that send `request`, too."""

    async def go(freshet: Application, request: bytes, buffer: int = 4096) -> socket.socket:
        client = await connect(freshet, buffer)
        assert client.send(request) == len(request)
        return client

    return go


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> bytes:
    """A request that the lane answers, and one that Tornado does."""
    return HEADS[request.param]


def take(client: socket.socket, count: int = 1 << 20) -> int:
    """Read what is there; how much that was, -1 at the end."""
    with suppress(BlockingIOError):
        return len(client.recv(count)) or -1
    return 0


async def closed(freshet: Application, reason: str) -> float:
    samples = await samples_of(freshet)
    return samples[f"freshet_connections_closed_total[{reason}]"]


@pytest.mark.gen_test
async def test_clients_that_read_nothing_share_one_body(
    start: Any, ask: Connect, head: bytes
) -> None:
    freshet = await start()
    backlog = freshet.web_server.backlog
    for _ in range(50):
        await ask(freshet, head % b"" * MANY)
    await until(lambda: backlog.clients == 50)
    assert freshet.web_server.lane is not None
    assert all(queued(each.descriptor) < 200_000 for each in freshet.web_server.lane.connections)
    each = 6_000 if b"X-A" not in head else 18_000
    assert backlog.bytes < 60_000 + 50 * each
    assert (await samples_of(freshet))["freshet_unsent_bytes[1]"] == backlog.bytes


@pytest.mark.gen_test
async def test_a_client_that_takes_less_than_the_least_rate_is_closed_and_a_slow_one_is_not(
    start: Any, ask: Connect, head: bytes
) -> None:
    freshet = await start()
    backlog = freshet.web_server.backlog
    slow, slower, deaf = [await ask(freshet, head % b"" * MANY) for _ in range(3)]
    await until(lambda: backlog.clients == 3)
    seconds = 4 * PATIENCE
    for second in range(1, seconds):
        taken = 0
        while taken < 3 * LEAST_BYTES:  # a system may take its time for the first bytes
            got = take(slow, 3 * LEAST_BYTES)
            assert got >= 0, f"it was cut off after {second} s"
            taken += got
            await asyncio.sleep(0)
        if second % 50 == 0:
            take(slower, 1000)
        backlog.tick()
        if second == PATIENCE - 2:
            assert backlog.clients >= 2, "these two have time left"
    await until(lambda: backlog.clients == 1)
    assert await closed(freshet, "slow") == 2
    for each in (slower, deaf):
        with suppress(ConnectionResetError):
            while take(each) > 0:
                pass
    rest = 0
    while rest >= 0 and backlog.clients:
        rest = take(slow)
        await asyncio.sleep(0)
    assert rest >= 0


@pytest.mark.gen_test
async def test_over_the_bound_the_slowest_are_closed_and_others_get_every_byte(
    start: Any, ask: Connect, head: bytes
) -> None:
    freshet = await start()
    backlog = freshet.web_server.backlog
    backlog.bound = 600_000 if b"X-A" not in head else 1_200_000
    steady = await ask(freshet, head % b"" * MANY, 64 * 1024)
    await until(lambda: backlog.clients == 1)
    taken = take(steady)
    for number in range(80):
        await ask(freshet, head % (b"?limit=%d" % (20 - number % 15)) * MANY)
        await asyncio.sleep(0.01)
        if number % 4 == 0:
            backlog.tick()
        assert backlog.bytes <= backlog.bound
        taken += (got := take(steady, 20_000))
        assert got >= 0, "it was cut off"
    assert await closed(freshet, "memory") > 10
    async with asyncio.timeout(30):
        while taken < MANY * 30_000:
            taken += (got := take(steady))
            assert got >= 0, "it was cut off"
            await asyncio.sleep(0)


def test_a_body_counts_once_however_many_clients_have_yet_to_take_it() -> None:
    backlog, body, other = Backlog(), bytes(100_000), bytes(1000)
    accounts = [UnsentAccount(-1, lambda: None) for _ in range(100)]
    for account in accounts:
        backlog.charge(account, 10, body, other, body)
    assert 101_000 < backlog.bytes < 400_000
    for account in accounts[1:]:
        backlog.settle(account)
    assert backlog.bytes > 101_000
    backlog.settle(accounts[0])
    backlog.settle(accounts[0])
    assert (backlog.bytes, backlog.clients) == (0, 0)
