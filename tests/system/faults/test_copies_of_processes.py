"""The copy of the guide against processes behind nginx, with syncs and checks of their own."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.cursors import connected
from tests.support.fork_server import ForkServer
from tests.support.load_reports import begun
from tests.support.loops import Closing
from tests.support.proxies import Nginx
from tests.support.server_processes import (
    Manage,
    Server,
    environment,
    standin_process,
    standin_settings,
)
from tests.support.waiting import until
from tests.system.faults.copied_world import Front, HastyCopy, shown
from tests.system.faults.place import OFTEN

SECONDS = 120.0  # of accidents
STARTING = 30.0  # seconds
ACCIDENTS = ("cut", "stop", "kill", "freeze", "back_up", "restore", "nothing")


class Fleet:
    """Two servers on one database behind nginx, and what happens to them."""

    def __init__(self, run: Callable[..., Server], env: dict[str, str], url: URL) -> None:
        self._run, self._env = run, env
        self._url = url
        self.servers: list[Server] = []
        self.front: Front
        self.copy: HastyCopy
        self.backed_up: int | None = None  # the newest change then

    async def start(self, *ports: int) -> None:
        """Start servers on these ports, or on free ones."""
        started = [self._run(*(("-p", str(port)) if port else ()), env=self._env) for port in ports]
        for port, server in zip(ports, started, strict=True):
            server.port = port or server.port
        self.servers += await asyncio.gather(*(begun(server, STARTING) for server in started))

    async def end(self, sign: signal.Signals, *servers: Server) -> list[int]:
        """End servers; returns their ports."""
        for server in servers:
            server.process.send_signal(sign)
            await asyncio.to_thread(server.process.wait, 15)
            self.servers.remove(server)
        return [server.port for server in servers]

    async def suffer(self, accident: str, dice: random.Random) -> None:
        one = dice.choice(self.servers)
        if accident == "cut":
            self.front.cuts = [dice.randrange(5000) for _ in range(5)]
            await self.front.cut()
        elif accident in ("stop", "kill"):
            sign = signal.SIGTERM if accident == "stop" else signal.SIGKILL
            await self.start(*await self.end(sign, one))
        elif accident == "freeze":
            one.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(3)
            one.process.send_signal(signal.SIGCONT)
        elif accident == "back_up" or (accident == "restore" and self.backed_up is not None):
            if accident == "restore":
                await until(lambda: self.newest() > (self.backed_up or 0), 60)
                await asyncio.to_thread(self.copy.catch_up)  # it has read what is lost
            ports = await self.end(signal.SIGTERM, *self.servers)
            names = ("backup", "faults") if accident == "back_up" else ("faults", "backup")
            with connected(self._url.set(database="postgres")) as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {names[0]} WITH (FORCE)")
                cursor.execute(f"CREATE DATABASE {names[0]} TEMPLATE {names[1]}")
            self.backed_up = self.newest()
            await self.start(*ports)

    def newest(self) -> int:
        """Return the number of the newest change."""
        with connected(self._url) as cursor:
            cursor.execute("SELECT coalesce(max(seq), 0) FROM changes")
            return int(cursor.fetchone()[0])


@pytest.fixture
def spotify(fork_server: ForkServer) -> Iterator[str]:
    """Start a stand-in that publishes a release each second; yields its address."""
    with standin_process("--publish-every", "1", fork_server=fork_server) as address:
        yield address


if os.environ.get("FRESHET_SOAK"):  # not skipped without: test_copies.py has the short form

    @pytest.mark.slow
    @pytest.mark.gen_test(timeout=600)
    async def test_a_copy_equals_the_list_of_processes_behind_nginx(
        run: Callable[..., Server],
        manage: Manage,
        url: URL,
        spotify: str,
        closing: Closing,
        tmp_path: Path,
    ) -> None:
        seed = int(os.environ.get("SEED", time.time()))
        print(f"\nSEED={seed}")
        dice = random.Random(seed)
        front = Front()
        env = environment(url, **standin_settings(spotify), **OFTEN, ACCESS_LOG="errors")
        env |= {"PUBLIC_URL": f"http://127.0.0.1:{front.port}"}
        fleet = Fleet(run, env, url)
        await fleet.start(0, 0)
        nginx = Nginx(tmp_path, *(server.port for server in fleet.servers))
        await nginx.start()
        closing(nginx.stop)
        front.lead_to(nginx.port)
        await front.start()
        closing(front.stop)
        fleet.front = front
        fleet.copy = copy = HastyCopy(env["PUBLIC_URL"], pause=0.2, limit=7)
        await asyncio.to_thread(copy.catch_up)
        artists = sorted({each["artists"][0]["spotify_id"] for each in copy.releases.values()})
        await asyncio.to_thread(manage, "watch", "add", *artists[:10], env=env)
        kinds = dict.fromkeys(ACCIDENTS, 0)
        compared, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            accident = dice.choice(ACCIDENTS)
            kinds[accident] += 1
            await fleet.suffer(accident, dice)
            compared += await equal(copy, fleet, dice)
        before = copy.full_reads
        for accident in ("back_up", "restore"):
            await fleet.suffer(accident, dice)
            compared += await equal(copy, fleet, dice)
        assert copy.full_reads > before, "changes were lost"
        print(f"{compared} comparisons, {copy.full_reads} full reads, {kinds}")
        assert compared > SECONDS / 15


async def equal(copy: HastyCopy, fleet: Fleet, dice: random.Random) -> int:
    """Compare the copy with the list of a server as soon as both are at the same place."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        reader = HastyCopy(f"http://127.0.0.1:{dice.choice(fleet.servers).port}", pause=0.2)
        works: list[Any] = [copy.catch_up, reader.read_all]
        await asyncio.gather(*(asyncio.to_thread(each) for each in works))
        if reader.place == copy.place:
            assert shown(copy.releases) == shown(reader.releases)
            return 1
        await asyncio.sleep(0.3)
    raise AssertionError("they are never at the same place")
