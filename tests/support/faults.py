"""A PostgreSQL for tests that kill or freeze it, and stand-ins with faults."""

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import URL

from tests.support.cursors import connected
from tests.support.databases import MEMORY, MIGRATED
from tests.support.fork_server import ForkServer
from tests.support.server_processes import standin_process
from tests.system.faults.place import Frail


@pytest.fixture(scope="session")
def frail(made_cluster: Path) -> Iterator[Frail]:
    """Start a durable PostgreSQL, unlike that of the other tests."""
    roomy = os.access(MEMORY, os.W_OK)
    with TemporaryDirectory(dir=MEMORY if roomy else None) as folder:
        yield (server := Frail(shutil.copytree(made_cluster, Path(folder) / "data")))
        server.stop()


@pytest.fixture
def descriptors() -> Iterator[int]:
    """Raise the limit of descriptors to the hard limit; returns that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def url(frail: Frail) -> Iterator[URL]:
    """Copy the migrated database of `frail` for one test."""
    admin = frail.url.set(database="postgres")
    with connected(admin) as cursor:
        cursor.execute(f"CREATE DATABASE faults TEMPLATE {MIGRATED} STRATEGY file_copy")
    yield frail.url.set(database="faults")
    frail.revive()
    with connected(admin) as cursor:
        cursor.execute("DROP DATABASE faults WITH (FORCE)")


@pytest.fixture
def publishing(fork_server: ForkServer) -> Iterator[str]:
    """Start a stand-in that publishes three releases a second; yields its address."""
    with standin_process("--publish-every", "0.33", fork_server=fork_server) as address:
        yield address


@pytest.fixture
def slow_spotify(fork_server: ForkServer, tmp_path: Path) -> Iterator[str]:
    """Start a stand-in that takes 30 s for the fifth page; yields its address."""
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "slow", "path": "/v1/search", "after": 4, "seconds": 30}]')
    with standin_process("--faults", str(faults), fork_server=fork_server) as address:
        yield address
