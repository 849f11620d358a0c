"""LISTEN on the loop: nothing is lost, nothing leaks, nothing ends it but cancellation."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import psycopg2
import pytest
import structlog
import uvloop
from sqlalchemy import URL
from structlog.testing import capture_logs

from server.database.embedded import EmbeddedPostgres
from server.database.executor import Database
from server.database.listener import NotificationListener
from server.errors import DatabaseUnavailable
from tests.support.waiting import until

CHANNEL = "rumours"
LISTENERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'freshet' AND query LIKE 'LISTEN%' AND state = 'idle'"
)


class Town:
    """Somebody else's connection, which spreads rumours and watches the listeners."""

    def __init__(self, url: URL) -> None:
        self._connection: Any = psycopg2.connect(
            host=url.query["host"], port=url.query["port"], user=url.username, dbname=url.database
        )
        self._connection.autocommit = True

    def ask(self, statement: str, *parameters: object) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchone()[0] if cursor.description else None

    def tell(self, origin: str = "elsewhere", channel: str = CHANNEL) -> None:
        self.ask("SELECT pg_notify(%s, %s)", channel, origin)

    def listeners(self) -> int:
        return int(self.ask(LISTENERS))

    def cut(self) -> None:
        """End every connection but this one."""
        self.ask(
            "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def address(postgres: EmbeddedPostgres) -> URL:
    """Of a database without tables, for all tests."""
    administration = Town(postgres.url.set(database="postgres"))
    administration.ask("CREATE DATABASE rumours")
    administration.close()
    return postgres.url.set(database="rumours")


@pytest.fixture
def town(address: URL) -> Iterator[Town]:
    town = Town(address)
    yield town
    town.close()


@pytest.fixture
def database(address: URL) -> Iterator[Database]:
    database = Database(address)
    database.connect()
    yield database
    database.close()


@contextlib.asynccontextmanager
async def listening(
    database: Database,
    town: Town,
    on_notice: Callable[[], Awaitable[None]],
    origin: str = "us",
    **others: Callable[[], Awaitable[None]],
) -> AsyncIterator["asyncio.Task[None]"]:
    """A listener at work, cancelled in the end."""
    channels = {CHANNEL: on_notice, **others}
    listener = NotificationListener(database, channels, origin, retry_seconds=0.05)
    task = asyncio.create_task(listener.run())
    await until(lambda: town.listeners() == 1)
    await asyncio.sleep(0.02)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Counter:
    """An `on_notice` that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1


@pytest.mark.gen_test
async def test_a_notice_of_another_is_heard_and_our_own_is_not(
    database: Database, town: Town
) -> None:
    heard = Counter()
    async with listening(database, town, heard):
        town.tell("us")
        town.tell("elsewhere", channel="gossip")
        await asyncio.sleep(0.1)
        assert heard.calls == 0
        town.tell("elsewhere")
        await until(lambda: heard.calls == 1)
        town.tell("")  # of one that has no name, as `manage.py sync`
        await until(lambda: heard.calls == 2)
        town.ask(
            "SELECT count(pg_notify(%s, origin)) FROM (VALUES ('us'), ('elsewhere')) AS o (origin)",
            CHANNEL,
        )
        await until(lambda: heard.calls == 3)


@pytest.mark.gen_test
async def test_each_channel_has_its_own_ears(database: Database, town: Town) -> None:
    heard, gossip = Counter(), Counter()
    async with listening(database, town, heard, gossip=gossip):
        town.tell("elsewhere", channel="gossip")
        await until(lambda: gossip.calls == 1)
        assert heard.calls == 0
        town.tell("elsewhere")
        await until(lambda: heard.calls == 1)
        assert gossip.calls == 1


@pytest.mark.gen_test
async def test_after_a_loss_every_channel_is_told(database: Database, town: Town) -> None:
    heard, gossip = Counter(), Counter()
    async with listening(database, town, heard, gossip=gossip):
        town.cut()
        await until(lambda: (heard.calls, gossip.calls) == (1, 1))


@pytest.mark.gen_test
async def test_a_burst_is_heard_as_few_calls_and_its_last_is_not_lost(
    database: Database, town: Town
) -> None:
    finished: list[float] = []
    heard = Counter()

    async def slowly() -> None:
        await heard()
        await asyncio.sleep(0.1)
        finished.append(time.monotonic())

    async with listening(database, town, slowly):
        for _ in range(50):
            last = time.monotonic()
            town.tell()
            await asyncio.sleep(0.003)
        await until(lambda: finished and finished[-1] > last + 0.1)
        await asyncio.sleep(0.15)
        assert 2 <= heard.calls < 25
        assert heard.calls == len(finished)


@pytest.mark.gen_test
async def test_a_notice_that_waits_for_us_does_not_spin_the_loop(
    database: Database, town: Town
) -> None:
    heard = Counter()

    async def slowly() -> None:
        await heard()
        await asyncio.sleep(0.4)

    async with listening(database, town, slowly):
        town.tell()
        await until(lambda: heard.calls == 1)
        town.tell()
        spent = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - spent < 0.1
        await until(lambda: heard.calls == 2)


async def loses_and_finds(database: Database, town: Town) -> None:
    heard = Counter()

    async def is_told(times: int) -> None:
        await until(lambda: heard.calls == times)

    async with listening(database, town, heard) as task:
        for round_ in (1, 2):
            town.cut()
            await is_told(2 * round_ - 1)
            await until(lambda: town.listeners() == 1)
            await asyncio.sleep(0.1)
            assert heard.calls == 2 * round_ - 1
            town.tell()
            await is_told(2 * round_)
        assert not task.done()
    await until(lambda: town.listeners() == 0)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_after_a_loss_it_listens_again_and_tells_of_it_once(
    database: Database, town: Town, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(loses_and_finds(database, town))


@pytest.mark.gen_test
async def test_what_came_before_the_first_connection_may_have_been_missed(
    address: URL, town: Town
) -> None:
    heard = Counter()
    database = Database(address)
    listener = NotificationListener(database, {CHANNEL: heard}, "us", retry_seconds=0.05)
    task = asyncio.create_task(listener.run())
    try:
        await asyncio.sleep(0.1)
        assert heard.calls == 0
        database.connect()
        await until(lambda: heard.calls == 1)
        await asyncio.sleep(0.1)
        assert heard.calls == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        database.close()


@pytest.mark.gen_test
async def test_cancelling_closes_the_connection(database: Database, town: Town) -> None:
    async with listening(database, town, Counter()) as task:
        task.cancel()
        await until(lambda: town.listeners() == 0)


@pytest.mark.gen_test
async def test_cancelling_while_it_connects_leaks_nothing(database: Database, town: Town) -> None:
    for pause in range(30):
        listener = NotificationListener(database, {CHANNEL: Counter()}, "us", retry_seconds=0.05)
        task = asyncio.create_task(listener.run())
        await asyncio.sleep(pause / 3000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await database.run(lambda session: None)
    await until(lambda: town.listeners() == 0)


@pytest.mark.gen_test
async def test_a_database_error_of_the_listeners_own_work_is_tried_again(
    database: Database, town: Town
) -> None:
    heard = Counter()

    async def fail_twice() -> None:
        await heard()
        if heard.calls < 3:
            raise DatabaseUnavailable("for a while")

    with capture_logs() as events:
        async with listening(database, town, fail_twice):
            town.tell()
            await until(lambda: heard.calls == 3)
            await asyncio.sleep(0.1)
            town.tell()
            await until(lambda: heard.calls == 4)
            assert town.listeners() == 1
    assert [event["event"] for event in events] == ["listener_lost"] * 2
    assert events[0]["reason"] == "for a while"


@pytest.mark.parametrize("error", [ValueError("a bug"), TimeoutError(), RuntimeError("closed")])
@pytest.mark.gen_test
async def test_any_other_error_is_logged_and_listening_goes_on(
    database: Database, town: Town, error: Exception
) -> None:
    structlog.reset_defaults()
    heard = Counter()

    async def fail_once() -> None:
        await heard()
        if heard.calls == 1:
            raise error

    with capture_logs() as events:
        async with listening(database, town, fail_once) as task:
            town.tell()
            await until(lambda: heard.calls == 1)
            town.tell()
            await until(lambda: heard.calls == 2)
            assert not task.done()
    assert [(event["event"], event["log_level"]) for event in events] == [
        ("notice_failed", "error")
    ]
