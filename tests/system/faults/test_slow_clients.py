"""Thousands of clients that send and read a byte now and then; everybody else is served as ever."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import URL

from tests.bench.http.process import resident
from tests.support.loops import Closing
from tests.support.server_processes import Manage, Server, environment, standin_settings
from tests.support.waiting import until
from tests.system.faults.load import REQUEST, Load
from tests.system.faults.place import percentile, serves

pytestmark = pytest.mark.slow

MANY, FEW = 10_000, 1_000
KILOBYTES = 16  # a connection may cost, whatever it is at
MILLISECONDS = 100  # 99 of 100 others wait less, on a machine that has other things to do as well
LISTS = b"GET /api/albums/?release_limit=200&include=markets HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
def many(long: bool, descriptors: int) -> int:
    """How many there may be; our own descriptors are raised for them."""
    return min(MANY if long else FEW, descriptors - 500)


class Crowd:
    """`many` connections: every other one sends its request, or reads its answer, byte by byte."""

    def __init__(self, port: int, many: int) -> None:
        self._port, self._many = port, many
        self.wires: list[socket.socket] = []
        self._sent = 0

    async def come(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self._many):
            wire = socket.socket()
            wire.setblocking(False)
            if number % 2:
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.wires.append(wire)
            await loop.sock_connect(wire, ("127.0.0.1", self._port))
            if number % 2:
                await loop.sock_sendall(wire, LISTS)

    async def dawdle(self) -> None:
        """A byte to or from each, over and over, until cancelled."""
        while True:
            byte = REQUEST[self._sent : self._sent + 1]
            self._sent += 1
            for number, wire in enumerate(self.wires):
                if number % 2:
                    with suppress(BlockingIOError):  # it is not its turn yet
                        assert wire.recv(1), "it was cut off"
                else:
                    wire.send(byte)
                if number % 50 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)

    async def go(self) -> None:
        for wire in self.wires:
            wire.close()

    def left(self) -> int:
        """How many connections the server has not ended, when all that it sent has been read."""
        return sum(not is_ended(wire) for wire in self.wires)


def is_ended(wire: socket.socket) -> bool:
    try:
        while wire.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


@pytest.mark.gen_test(timeout=300)
async def test_thousands_of_slow_clients_hold_up_nobody_cost_little_and_are_closed_at_the_end(
    run: Callable[..., Server],
    manage: Manage,
    database_url: URL,
    publishing: str,
    many: int,
    long: bool,
    closing: Closing,
) -> None:
    env = environment(database_url, **standin_settings(publishing))
    env |= {"SYNC_INTERVAL": "0", "ACCESS_LOG": "off"}
    assert manage("sync", env=env).returncode == 0
    server = run(env=env)
    await until(lambda: server.events("server_started"), 30)
    await until(lambda: serves(server), 30)
    pid, crowd = server.process.pid, Crowd(server.port, many)
    closing(crowd.go)
    async with Load([server.port], 2, pause=0.005).running():
        await asyncio.sleep(0.5)
    before = resident(pid)
    began = time.monotonic()
    await crowd.come()
    coming = time.monotonic() - began
    load = Load([server.port], 8, pause=0 if long else 0.01)
    dawdling = asyncio.create_task(crowd.dawdle())
    async with load.running():
        await asyncio.sleep(20 if long else 3)
    dawdling.cancel()
    await asyncio.wait([dawdling])
    assert dawdling.cancelled(), "none was cut off meanwhile"
    kilobytes = (resident(pid) - before) * 1024 / many
    began = time.monotonic()
    server.process.terminate()
    await until(lambda: server.process.poll() is not None, 15)
    ending = time.monotonic() - began
    await until(lambda: not crowd.left(), 10)
    print(
        f"\n{many} slow clients, there after {coming:.1f} s: {kilobytes:.1f} kB each; others: "
        f"{load.answered} answered, {len(load.failed)} failed, "
        f"p99 {percentile(load.seconds):.0f} ms; "
        f"all closed {ending:.1f} s after SIGTERM"
    )
    assert load.failed == []
    assert percentile(load.seconds) < MILLISECONDS
    assert kilobytes < KILOBYTES
    assert server.process.returncode == 0
    assert not server.events("connections_waiting")
