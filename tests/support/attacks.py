"""The server that all attacks share."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import URL
from sqlalchemy.orm import Session

from server.database.executor import Database
from server.storage import sweeps
from tests.bench import catalogue
from tests.support.cursors import connected
from tests.support.databases import NewDatabase
from tests.support.examples import sweep
from tests.support.server_processes import Server, environment, standin_process, standin_settings
from tests.support.waiting import wait_until
from tests.system.attacks.siege import Siege
from tests.system.faults.place import serves

SETTINGS = {"SYNC_INTERVAL": "0", "PUBLIC_URL": "http://127.0.0.1:5000"}
RELEASES = 300  # as long as Spotify tells of them; the largest answer has 200


def fill(url: URL) -> None:
    """Store releases, as a sync would."""
    database, now = Database(url), partial(datetime.now, UTC)
    database.connect()
    with Session(database.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(catalogue.releases(RELEASES)), now(), now)
    database.close()


def tell_of_a_sync(url: URL) -> None:
    """Make a server read a new snapshot, as after a sync of another process."""
    with connected(url) as cursor:
        cursor.execute(f"NOTIFY {sweeps.CHANNEL}, 'another'")


@pytest.fixture(scope="session")
def siege(
    tmp_path_factory: pytest.TempPathFactory,
    manage_py: Path,
    new_database: NewDatabase,
    migrated: str,
) -> Iterator[Siege]:
    """Start a server with default settings in a fresh interpreter, and warm it up."""
    folder = tmp_path_factory.mktemp("attacks")
    with new_database(migrated) as url, standin_process() as spotify:
        fill(url)
        env = environment(url, **SETTINGS, **standin_settings(spotify))
        server = Server(manage_py, folder / "log", env=env)
        try:
            wait_until(lambda: serves(server), 30)
            forget = partial(tell_of_a_sync, url)
            siege = Siege(server, folder, forget, long=bool(os.environ.get("FRESHET_SOAK")))
            try:
                siege.warm_up()
                yield siege
            finally:
                siege.close()
        finally:
            server.stop()
