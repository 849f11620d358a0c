"""PostgreSQL for tests: one server, and a database of its own for each test."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import URL, create_engine

from server.database import schema
from server.database.embedded import EmbeddedPostgres
from server.database.executor import Database
from tests.support.cursors import connected
from tests.support.reused_database import ReusedDatabase

MEMORY = "/dev/shm"
FAST_POSTGRES = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


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
def new_name() -> Callable[[], str]:
    """A name that no database has had before."""
    numbers = itertools.count()
    return lambda: f"test_{next(numbers)}"


@pytest.fixture(scope="session")
def admin(postgres: EmbeddedPostgres) -> Iterator[Any]:
    """A cursor that makes and drops databases."""
    with connected(postgres.url.set(database="postgres")) as cursor:
        yield cursor


@pytest.fixture(scope="session")
def new_database(
    postgres: EmbeddedPostgres, admin: Any, new_name: Callable[[], str]
) -> Callable[[str], AbstractContextManager[URL]]:
    """A database of a test's own, copied from a template, dropped whatever still holds it."""

    @contextmanager
    def make(template: str) -> Iterator[URL]:
        name = new_name()
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield postgres.url.set(database=name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture
def empty_database_url(new_database: Callable[[str], Any]) -> Iterator[URL]:
    with new_database("template0") as url:
        yield url


@pytest.fixture(scope="session")
def reused_database(
    postgres: EmbeddedPostgres, migrated: str, new_name: Callable[[], str]
) -> ReusedDatabase:
    return ReusedDatabase(postgres.url, migrated, new_name)


@pytest.fixture
def database_url(admin: Any, reused_database: ReusedDatabase) -> Iterator[URL]:
    """A database as the migrations make it, for this test alone."""
    with reused_database.lend(admin) as url:
        yield url


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    database = Database(database_url)
    database.connect()
    yield database
    database.close()
