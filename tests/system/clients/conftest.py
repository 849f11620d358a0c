"""What the tests of clients share: a server with a key, and Chromium for clients in a browser."""

from collections.abc import Callable

import pytest
from sqlalchemy import URL

from tests.support.browser_fixtures import chromium, foreign_page
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
