"""Thousands of listeners on a real process: how fast they hear, and what they cost."""

import asyncio
import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from server.database.executor import Database
from tests.support.event_streams import listen, spread
from tests.support.loops import Closing
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.settings import SECRET
from tests.support.waiting import until

MANY = 2000


def resident(pid: int) -> float:
    """Megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024**2


if os.environ.get("FRESHET_SOAK"):  # not skipped without: test_events.py has the short form

    @pytest.mark.gen_test(timeout=120)
    async def test_thousands_hear_of_a_change_within_a_second_for_little_memory(
        database: Database, closing: Closing
    ) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port = free_port()
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "manage.py",
            "run",
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            env={
                **os.environ,
                "CLIENT_ID": "x",
                "CLIENT_SECRET": "y",
                "SECRET": SECRET,
                "DATABASE_URL": database.engine.url.render_as_string(hide_password=False),
                "PORT": str(port),
                "SYNC_INTERVAL": "0",
                "EVENTS_PER_CLIENT": "10000",
                "MEMORY_MB": "400",
                "ACCESS_LOG": "off",
            },
        )

        async def end() -> None:
            if server.returncode is None:
                server.kill()
                await server.wait()

        closing(end)
        await until(lambda: is_open(port), 20)
        warm = await listen(port, 10)
        await spread(warm, database, 0)
        before = resident(server.pid)
        ears = await listen(port, MANY)
        seconds = [await spread(ears + warm, database, number) for number in range(1, 6)]
        grown = resident(server.pid) - before
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        await server.wait()
        stopped = time.monotonic() - began
        for ear in ears + warm:
            ear.close()
        spreads = ", ".join(f"{each:.2f}" for each in seconds)
        print(f"\n{MANY} listeners: {spreads} s; {grown:.1f} MB; stop in {stopped:.2f} s")
        assert max(seconds) < 1
        assert grown <= 60
        assert stopped < 3
