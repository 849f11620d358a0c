"""What tests share: a real PostgreSQL with a database each, a loop each, the stand-in."""

import asyncio
import gc
import itertools
import os
import pickle
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from sqlalchemy import URL, create_engine, text
from tornado.platform.asyncio import AsyncIOLoop

from server.app.application import Freshet
from server.app.upstream import utc_now
from server.config import settings as config
from server.config.settings import Settings
from server.database import schema
from server.database.embedded import EmbeddedPostgres
from server.database.executor import Database
from server.standin import AppKind, Catalogue, StandIn
from tests.support import statements

pytest_plugins = ["tests.support.durations"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SECRET = "a secret for tests that is long enough"
MEMORY = "/dev/shm"
PUBLIC_URL = "http://127.0.0.1:5000"  # of a server on a free port that is given no other
FAST_POSTGRES = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
SETTING_NAMES = [name.upper() for name in Settings.model_fields]


def pytest_configure() -> None:
    """Until all is imported nothing becomes garbage, and afterwards that is never looked at."""
    gc.disable()
    statements.share()
    hypothesis.settings.register_profile("noisy", deadline=None)  # what takes long may have waited
    hypothesis.settings.load_profile("noisy")


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


class Clock:
    """A wall clock that moves when it is told to."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **time: float) -> None:
        self.moment += timedelta(**time)


@pytest.fixture
def long() -> bool:
    """Whether there is time: FRESHET_SOAK is set."""
    return bool(os.environ.get("FRESHET_SOAK"))


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC))


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's environment and a developer's `.env` must not decide a test."""
    for name in SETTING_NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setattr(config, "ENV_FILE", tmp_path / "no.env")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for all tests, in memory where the system has a place for that."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 * 1024**3
    with TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        server = EmbeddedPostgres(Path(folder) / "data", FAST_POSTGRES)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> str:
    """The name of a database that the real migrations have made, to be copied."""
    url = postgres.url.set(database="migrated")
    engine = create_engine(url)
    schema.create(engine)
    engine.dispose()
    return "migrated"


@pytest.fixture(scope="session")
def new_database(postgres: EmbeddedPostgres) -> Iterator[Callable[[str], Any]]:
    """A database of a test's own, copied from a template, dropped whatever still holds it."""
    admin = create_engine(postgres.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    numbers = itertools.count()

    @contextmanager
    def make(template: str) -> Iterator[URL]:
        name = f"test_{next(numbers)}"
        with admin.connect() as connection:
            connection.execute(
                text(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
            )
        yield postgres.url.set(database=name)
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    yield make
    admin.dispose()


@pytest.fixture
def empty_database_url(new_database: Callable[[str], Any]) -> Iterator[URL]:
    with new_database("template0") as url:
        yield url


@pytest.fixture
def database_url(new_database: Callable[[str], Any], migrated: str) -> Iterator[URL]:
    with new_database(migrated) as url:
        yield url


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    database = Database(database_url)
    database.connect()
    yield database
    database.close()


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


@pytest.fixture
def closing(io_loop: AsyncIOLoop) -> Iterator[Callable[[Callable[[], Awaitable[Any]]], None]]:
    """Register coroutine functions to be awaited at the end of the test, last first."""
    endings: list[Callable[[], Awaitable[Any]]] = []
    yield endings.append
    for ending in reversed(endings):
        io_loop.asyncio_loop.run_until_complete(ending())


@cache
def pickled_catalogue(today: date) -> bytes:
    """What a stand-in has if it is not told; to make it takes as long as many a test."""
    return pickle.dumps(Catalogue.generate(today=today))


@pytest.fixture
def start_standin(closing: Any) -> Callable[..., StandIn]:
    """Start a stand-in from inside a test's coroutine; it is stopped afterwards."""

    def start(items: list[Any] | None = None, **options: Any) -> StandIn:
        if items is not None:
            options["catalogue"] = Catalogue(items, recent_days=None)
        elif "catalogue" not in options:
            now = options.get("clock", utc_now)()
            options["catalogue"] = pickle.loads(pickled_catalogue(now.astimezone(UTC).date()))
        standin = StandIn(kind=options.pop("kind", AppKind.EXTENDED), **options)
        standin.start()
        closing(standin.stop)
        return standin

    return start


def settings_for(
    url: URL, standin: StandIn | None = None, kind: type[Settings] = Settings, **overrides: Any
) -> Settings:
    """Settings for a server on a free port, with the database at `url`."""
    addresses = {}
    if standin is not None:
        addresses = {
            "spotify_api_url": standin.api_url,
            "spotify_accounts_url": standin.accounts_url,
        }
    values = {
        "client_id": "standin-client",
        "client_secret": "standin-secret",
        "secret": SECRET,
        "database_url": url.render_as_string(hide_password=False),
        "port": 0,
        **addresses,
        **overrides,
    }
    return config.load(kind, **values)


@pytest.fixture
def make_settings(database_url: URL) -> Callable[..., Settings]:
    """The same, with this test's database."""
    return partial(settings_for, database_url)


@pytest.fixture
def launch_freshet(closing: Any) -> Callable[..., Freshet]:
    """Start a whole server in this process; it is stopped afterwards."""

    def launch(settings: Settings, now: Callable[[], datetime] = utc_now) -> Freshet:
        freshet = Freshet(settings, now)
        freshet.start()
        closing(freshet.stop)
        return freshet

    return launch


@pytest.fixture
def start_freshet(
    make_settings: Callable[..., Settings], launch_freshet: Callable[..., Freshet]
) -> Callable[..., Any]:
    """Launch a server on the stand-in and wait for its first sync."""

    async def start(standin: StandIn, **overrides: Any) -> Freshet:
        freshet = launch_freshet(make_settings(standin, **overrides))
        await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at)
        return freshet

    return start


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


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for a condition, looking every 10 ms; so long only where other tests take the cores."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """In CI no test may be skipped, for there everything that tests need is installed."""
    skipped = terminalreporter.stats.get("skipped", [])
    if os.environ.get("CI") and skipped:
        terminalreporter.section("skips that CI does not expect")
        for report in skipped:
            terminalreporter.line(f"{report.nodeid}: {report.longrepr[2]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
