"""A PostgreSQL that faults are done to, and stand-ins with faults."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import URL, create_engine

from server.database import schema
from tests.support.cursors import connected
from tests.support.databases import MEMORY
from tests.support.fork_server import ForkServer
from tests.support.server_processes import standin_process
from tests.system.faults.place import Frail


@pytest.fixture(scope="session")
def frail() -> Iterator[Frail]:
    """A PostgreSQL that loses nothing when it is killed, unlike that of the other tests."""
    roomy = os.access(MEMORY, os.W_OK)
    with TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        server = Frail(Path(folder) / "data")
        engine = create_engine(server.url.set(database="migrated"))
        schema.create(engine)
        engine.dispose()
        yield server
        server.stop()


@pytest.fixture
def descriptors() -> Iterator[int]:
    """This process may have as many as the system lets it; how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def url(frail: Frail) -> Iterator[URL]:
    """A database of a test's own in it, with the schema made."""
    admin = frail.url.set(database="postgres")
    with connected(admin) as cursor:
        cursor.execute("CREATE DATABASE faults TEMPLATE migrated STRATEGY file_copy")
    yield frail.url.set(database="faults")
    frail.revive()
    with connected(admin) as cursor:
        cursor.execute("DROP DATABASE faults WITH (FORCE)")


@pytest.fixture
def publishing(fork_server: ForkServer) -> Iterator[str]:
    """The address of a stand-in that brings out three releases a second."""
    with standin_process("--publish-every", "0.33", fork_server=fork_server) as address:
        yield address


@pytest.fixture
def slow_spotify(fork_server: ForkServer, tmp_path: Path) -> Iterator[str]:
    """The address of a stand-in that takes half a minute for the fifth page."""
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "slow", "path": "/v1/search", "after": 4, "seconds": 30}]')
    with standin_process("--faults", str(faults), fork_server=fork_server) as address:
        yield address
