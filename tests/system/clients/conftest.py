"""What the tests of clients share: a server with a key, one behind a front, and Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.browser_fixtures import Place, chromium, foreign_page, serving
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer
from tests.support.recording_front import RecordingFront, recording_front
from tests.support.server_processes import Manage, Server, environment, standin_settings

__all__ = ["chromium", "foreign_page"]


@pytest.fixture
def settings(database_url: URL, spotify: str) -> dict[str, str]:
    """The environment of a server."""
    return environment(database_url, **standin_settings(spotify))


@pytest.fixture
def server(run: Callable[..., Server], settings: dict[str, str]) -> Server:
    """A server after its first sync."""
    server = run(env=settings)
    server.event("sync_finished")
    return server


@pytest.fixture
def key(manage: Manage, server: Server, settings: dict[str, str]) -> str:
    """An access key of the server that may do everything."""
    scopes = [f"--scope={each}" for each in ("read", "sync", "manage")]
    return manage("key", "create", "client", *scopes, env=settings).stdout.strip()


@pytest.fixture(scope="package")
def front() -> Iterator[RecordingFront]:
    with recording_front() as front:
        yield front


@pytest.fixture(scope="package")
def place(
    front: RecordingFront,
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """A server that is reached by way of the front; its lists have three pages."""
    folder = tmp_path_factory.mktemp("place")
    parts = new_database, migrated, manage_py, fork_server, folder
    with serving(*parts, PUBLIC_URL=front.url) as place:
        place.server.event("sync_finished", 60)
        front.to = place.server.port
        yield place
