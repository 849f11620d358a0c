"""PostgreSQL for tests: one server, and a database of its own for each test."""

import fcntl
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import URL, create_engine

from server.database import schema
from server.database.embedded import EmbeddedPostgres, programs
from server.database.embedded.identity import identity
from server.database.executor import Database
from tests.support.cursors import connected
from tests.support.reused_database import ReusedDatabase

MEMORY = "/dev/shm"
MIGRATED = "freshet"  # as Freshet names it, so that a copy of the cluster is one of its own
FAST_POSTGRES = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "io_method": "sync",
}
SMALL_STEPS = "--wal-segsize=1"  # MB; of 16 MB each copy would have 15 of zeros
CHILDREN_SETTINGS = "fsync = off\nfull_page_writes = off\nio_method = sync\n"


def make_cluster(shared: Path) -> Path:
    """Make the data folder of a stopped server with a migrated database, unless it is made."""
    folder, made = shared / "postgres", shared / "made"
    with (shared / "making").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            server = EmbeddedPostgres(folder, FAST_POSTGRES)
            server.start()
            engine = create_engine(server.url.set(database=MIGRATED))
            schema.create(engine)
            engine.dispose()
            server.stop()
            resize = [str(programs.binaries() / "pg_resetwal"), SMALL_STEPS, str(folder)]
            assert programs.run(identity(folder), resize).returncode == 0
            made.touch()
    return folder


@pytest.fixture(scope="session")
def made_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cluster that the nursery makes for all workers, or make it."""
    base = tmp_path_factory.getbasetemp()
    return make_cluster(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)


CopyCluster = Callable[[Path], Path]


@pytest.fixture(scope="session")
def copy_cluster(made_cluster: Path) -> CopyCluster:
    """Return a function that makes a data folder, as Freshet does at its first start there.

    It takes a twentieth of the time of that. Use it unless the first start is the test's subject:
    call `copy_cluster(folder)` before a process is started with `DATABASE_URL=embedded:FOLDER`, or
    before `EmbeddedPostgres(folder).start()`; for `manage.py demo` it is `postgres` in the demo's
    folder. The server there finds the database `freshet` with the newest schema and without rows.
    What it commits survives a kill of its processes, but not a power cut.
    """

    def copy(folder: Path) -> Path:
        _copy(made_cluster, folder)
        with (folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(CHILDREN_SETTINGS)
        return folder

    return copy


def _copy(cluster: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/bin/cp", "-Rp", "--", cluster, folder], check=True)


@pytest.fixture(scope="session")
def postgres(made_cluster: Path) -> Iterator[EmbeddedPostgres]:
    """Start one server for all tests of a worker, in memory where there is room."""
    roomy = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 * 1024**3
    with TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        _copy(made_cluster, data := Path(folder) / "data")
        server = EmbeddedPostgres(data, FAST_POSTGRES)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres) -> str:
    """Return the name of a template database made by the real migrations."""
    return MIGRATED


@pytest.fixture(scope="session")
def new_name() -> Callable[[], str]:
    """Return a function that gives each database a new name."""
    numbers = itertools.count()
    return lambda: f"test_{next(numbers)}"


@pytest.fixture(scope="session")
def admin(postgres: EmbeddedPostgres) -> Iterator[Any]:
    """Open a cursor that creates and drops databases."""
    with connected(postgres.url.set(database="postgres")) as cursor:
        yield cursor


NewDatabase = Callable[[str], AbstractContextManager[URL]]


@pytest.fixture(scope="session")
def new_database(
    postgres: EmbeddedPostgres, admin: Any, new_name: Callable[[], str]
) -> NewDatabase:
    """Return a context manager that copies a template and drops the copy, even if it is in use."""

    @contextmanager
    def make(template: str) -> Iterator[URL]:
        name = new_name()
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield postgres.url.set(database=name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return make


@pytest.fixture
def empty_database_url(new_database: NewDatabase) -> Iterator[URL]:
    with new_database("template0") as url:
        yield url


@pytest.fixture(scope="session")
def reused_database(
    postgres: EmbeddedPostgres, migrated: str, new_name: Callable[[], str]
) -> Iterator[ReusedDatabase]:
    database = ReusedDatabase(postgres.url, migrated, new_name)
    yield database
    database.close()


@pytest.fixture
def database_url(admin: Any, reused_database: ReusedDatabase) -> Iterator[URL]:
    """Lend this test a database as the migrations make it."""
    with reused_database.lend(admin) as url:
        yield url


@pytest.fixture
def database(database_url: URL) -> Iterator[Database]:
    database = Database(database_url)
    database.connect()
    yield database
    database.close()
