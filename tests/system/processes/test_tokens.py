"""Tokens among real processes: one of them asks Spotify, whatever the others do or suffer."""

import asyncio
import os
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
from tests.support.fork_server import ForkServer
from tests.support.loops import Closing
from tests.support.server_processes import environment, standin_settings
from tests.support.standins import StartStandIn
from tests.support.tokens import (
    ROBIN,
    TOKEN,
    LogIn,
    MakeProvider,
    StartHoldingProxy,
    StartWithExpiredLogin,
    asked_for_tokens,
    expired,
    listener_of,
    refresh_token_in,
    row_of,
    someone_waits,
)
from tests.support.waiting import until

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


class Process:
    """A worker from the fork server: what it is told, and what it says."""

    def __init__(self, fork_server: ForkServer, folder: Path, *words: str, **env: str) -> None:
        program, self._orders = folder / "worker.py", folder / "orders"
        self._out, self._errors = folder / "out", folder / "errors"
        program.write_text(WORKER)
        os.mkfifo(self._orders)
        self.running = fork_server.start(
            str(program), words, env, self._out, self._errors, self._orders
        )
        self._open = self._orders.open("wb", buffering=0)

    @property
    def lines(self) -> list[bytes]:
        return self._out.read_bytes().splitlines() if self._out.exists() else []

    @property
    def errors(self) -> str:
        return self._errors.read_text() if self._errors.exists() else ""

    def go(self) -> None:
        self._open.write(b"go\n")

    async def is_ready(self) -> None:
        await until(lambda: self.lines or self.running.poll() is not None)
        assert self.lines == [b"ready"], self.errors

    async def has_ended(self) -> int | None:
        await until(lambda: self.running.poll() is not None)
        return self.running.poll()

    async def end(self) -> None:
        self.running.kill()
        await self.has_ended()
        self._open.close()


Worker = Callable[..., Awaitable[Process]]


@pytest.fixture
def start_worker(
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
    database_url: URL,
    closing: Closing,
) -> Worker:
    """A process whose callers all want a token when it is told to go."""

    async def start(standin: StandIn, clock: Clock, accounts_url: str = "") -> Process:
        settings = standin_settings(standin.accounts_url)
        settings |= {"SPOTIFY_ACCOUNTS_URL": accounts_url} if accounts_url else {}
        process = Process(
            fork_server,
            tmp_path_factory.mktemp("worker"),
            clock().isoformat(),
            str(CALLERS),
            **environment(database_url, **settings),
        )
        closing(process.end)
        await process.is_ready()
        return process

    return start


async def result(process: Process) -> dict[str, Any]:
    assert await process.has_ended() == 0, process.errors
    answer: dict[str, Any] = orjson.loads(process.lines[-1])
    return answer


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    started = time.monotonic()
    async with asyncio.timeout(30):
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
    for worker in workers:
        worker.go()
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
        for worker in workers:
            worker.go()
        first, second = await asyncio.gather(*map(result, workers))
        assert first == second
        assert listener_of(standin, first["tokens"][0]) == ROBIN.account_id
        known.add(await refresh_token_in(database))
        assert asked_for_tokens(standin) == number
    assert len(known) == 3


@pytest.mark.gen_test(timeout=60)
async def test_a_process_killed_while_it_holds_the_row_holds_nobody_up(
    start_with_expired_login: StartWithExpiredLogin,
    start_holding_proxy: StartHoldingProxy,
    start_worker: Worker,
    clock: Clock,
    database: Database,
) -> None:
    standin = await start_with_expired_login()
    gate = await start_holding_proxy(standin)
    doomed, other = await asyncio.gather(
        start_worker(standin, clock, gate.url), start_worker(standin, clock)
    )
    doomed.go()
    await gate.has_answer()
    other.go()
    await someone_waits(database)
    async with at_most(4.0):
        doomed.running.kill()
        got = await result(other)
    assert listener_of(standin, got["tokens"][0]) == ROBIN.account_id
    assert asked_for_tokens(standin) == 2
    assert (await row_of(database)).state == "active"
