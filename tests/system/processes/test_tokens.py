"""Tokens among real processes: one of them asks Spotify, whatever the others do or suffer."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import URL

from server.database.executor import Database
from server.standin import Answer, StandIn
from tests.support.clock import Clock
from tests.support.loops import Closing
from tests.support.server_processes import environment, standin_settings
from tests.support.standins import StartStandIn
from tests.support.tokens import (
    ROBIN,
    TOKEN,
    LogIn,
    MakeProvider,
    StartHoldingProxy,
    asked_for_tokens,
    expired,
    listener_of,
    refresh_token_in,
    row_of,
    someone_waits,
)

CALLERS = 1000
WORKER = """
import asyncio, sys
from datetime import UTC, datetime

import orjson

from server.config import settings as config; from server.observability import log
from server.config.settings import Settings
from server.database.executor import Database
from server.app.upstream import Upstream


async def main() -> None:
    moment, callers = datetime.fromisoformat(sys.argv[1]), int(sys.argv[2])
    settings = config.load(Settings)
    log.configure("json", stream=sys.stderr)
    database = Database(settings.database_url)
    database.connect()
    await database.run(lambda session: None)
    tokens = Upstream(settings, database, lambda: moment).tokens
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    got = await asyncio.gather(*(tokens.access_token() for _ in range(callers)))
    print(orjson.dumps({"callers": len(got), "tokens": sorted(set(got))}).decode(), flush=True)


asyncio.run(main())
"""

Process = asyncio.subprocess.Process
Worker = Callable[..., Awaitable[Process]]


@pytest.fixture
def start_worker(manage_py: Path, tmp_path: Path, database_url: URL, closing: Closing) -> Worker:
    """A process whose callers all want a token when it is told to go."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)

    async def start(standin: StandIn, clock: Clock, accounts_url: str = "") -> Process:
        settings = standin_settings(standin.accounts_url)
        settings |= {"SPOTIFY_ACCOUNTS_URL": accounts_url} if accounts_url else {}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", str(script), clock().isoformat(), str(CALLERS),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env=environment(database_url, PYTHONPATH=str(manage_py.parent), **settings),
        )  # fmt: skip
        closing(lambda: end(process))
        assert process.stdout is not None
        said = await process.stdout.readline()
        assert said == b"ready\n", (said, await process.communicate())
        return process

    return start


async def end(process: Process) -> None:
    if process.returncode is None:
        os.kill(process.pid, signal.SIGKILL)
    await process.communicate()


def go(*processes: Process) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")


async def result(process: Process) -> dict[str, Any]:
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    answer: dict[str, Any] = orjson.loads(out)
    return answer


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    started = time.monotonic()
    async with asyncio.timeout(10):
        yield
    assert time.monotonic() - started < seconds


@pytest.mark.parametrize("logged_in", [True, False], ids=["a login", "the app"])
@pytest.mark.gen_test(timeout=60)
async def test_a_thousand_callers_in_each_of_two_processes_cause_one_request(
    start_standin: StartStandIn,
    start_worker: Worker,
    make_provider: MakeProvider,
    log_in: LogIn,
    clock: Clock,
    logged_in: bool,
) -> None:
    standin = start_standin(clock=clock)
    answer = await expired(standin, make_provider, log_in, clock, logged_in)
    standin.answer_next(TOKEN, Answer(200, answer, delay=1.0))
    workers = await asyncio.gather(*(start_worker(standin, clock) for _ in range(2)))
    go(*workers)
    for got in await asyncio.gather(*map(result, workers)):
        assert got == {"callers": CALLERS, "tokens": [answer["access_token"]]}
    assert asked_for_tokens(standin) == 1
    whose = listener_of(standin, answer["access_token"])
    assert whose == (ROBIN.account_id if logged_in else None)


@pytest.mark.gen_test(timeout=60)
async def test_a_refresh_token_turned_by_one_process_is_what_the_other_goes_on_with(
    start_standin: StartStandIn,
    start_worker: Worker,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    standin.rotate_refresh_tokens = True
    known = {(await log_in(standin)).refresh_token}
    for number in (1, 2):
        clock.forward(hours=2)
        workers = await asyncio.gather(*(start_worker(standin, clock) for _ in range(2)))
        go(*workers)
        first, second = await asyncio.gather(*map(result, workers))
        assert first == second
        assert listener_of(standin, first["tokens"][0]) == ROBIN.account_id
        known.add(await refresh_token_in(database))
        assert asked_for_tokens(standin) == number
    assert len(known) == 3


@pytest.mark.gen_test(timeout=60)
async def test_a_process_killed_while_it_holds_the_row_holds_nobody_up(
    start_standin: StartStandIn,
    start_holding_proxy: StartHoldingProxy,
    start_worker: Worker,
    log_in: LogIn,
    clock: Clock,
    database: Database,
) -> None:
    standin = start_standin(clock=clock)
    await log_in(standin)
    clock.forward(hours=2)
    gate = await start_holding_proxy(standin)
    doomed, other = await asyncio.gather(
        start_worker(standin, clock, gate.url), start_worker(standin, clock)
    )
    go(doomed)
    await gate.has_answer()
    go(other)
    await someone_waits(database)
    async with at_most(4.0):
        doomed.send_signal(signal.SIGKILL)
        got = await result(other)
    assert listener_of(standin, got["tokens"][0]) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2
    assert (await row_of(database)).state == "active"
