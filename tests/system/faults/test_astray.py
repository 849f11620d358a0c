"""Started with another SECRET, or on a schema of another version: said clearly, nothing is lost."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import URL, create_engine, text

from alembic import command
from server.database import migrations, schema
from server.database.executor import Database
from server.encryption import Encryption
from server.spotify.auth import token_store
from tests.support.cursors import connected
from tests.support.grants import GRANT, ROBIN
from tests.support.server_processes import Manage, Server, environment, standin_settings
from tests.support.settings import SECRET
from tests.support.waiting import wait_until
from tests.system.faults.balance import stored
from tests.system.faults.place import OFTEN, next_sync, serves

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
OTHER_SECRET = "another secret for tests that is long enough"


def rows(url: URL, statement: str) -> list[Any]:
    with connected(url) as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def log_in(url: URL) -> None:
    """A login as the server keeps it, sealed with SECRET."""
    database = Database(url)
    database.connect()
    ring = Encryption(SECRET, "tokens")
    asyncio.run(database.run(token_store.record_consent, ROBIN, GRANT, datetime.now(UTC), ring))
    database.close()


def tell(url: URL, here: set[str], what: str) -> None:
    """Judge that what was here still is."""
    lost = here - stored(url)
    print(f"\n{what}: {len(lost)} of {len(here)} releases lost")
    assert not lost


def test_a_login_that_another_secret_sealed_is_told_of_kept_and_there_again_with_the_right_one(
    run: Run, url: URL, publishing: str
) -> None:
    log_in(url)
    people = "SELECT * FROM logins WHERE authorized_at IS NOT NULL"
    before = rows(url, people)
    env = environment(url, **standin_settings(publishing), **OFTEN)
    astray = run(env=env | {"SECRET": OTHER_SECRET})
    told = astray.event("token_unreadable")
    assert told["accounts"] == [ROBIN.key]
    assert told["hint"] == token_store.SECRET_CHANGED
    assert astray.event("sync_finished")["outcome"] == "complete", "with the app's own token"
    wait_until(lambda: serves(astray), 10)
    assert OTHER_SECRET not in astray.log.read_text()
    assert astray.stop() == 0
    assert rows(url, people) == before
    here = stored(url)
    healed = run(env=env)
    next_sync(healed)
    tell(url, here, "another SECRET and back, one login kept")
    status = orjson.loads(healed.get("/api/status")[2])
    unreadable = healed.events("token_unreadable")
    assert [line for line in unreadable if line.get("accounts")] == []
    assert not healed.events("sync_failed")
    assert "unreadable" not in orjson.dumps(status).decode()


def test_a_schema_that_is_ahead_is_refused_with_a_reason_and_not_touched(
    run: Run, manage: Manage, url: URL, publishing: str
) -> None:
    env = environment(url, **standin_settings(publishing), **OFTEN)
    assert manage("sync", env=env).returncode == 0
    here = stored(url)
    with connected(url) as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '9999'")
        cursor.execute("ALTER TABLE albums ADD COLUMN of_the_future text")
    for name in ("create_db", "sync"):
        refused = manage(name, env=env)
        assert refused.returncode == 1
        assert "that of a newer version of Freshet: run that version" in refused.stderr
        assert "Traceback" not in refused.stderr
    server = run(env=env)
    assert "run that version" in server.event("database_unavailable")["reason"]
    status, _, body = server.get("/readyz")
    assert status == 503
    assert b"9999" in body
    assert server.get("/healthz")[0] == 200
    assert server.get("/api/artists/")[0] == 503
    assert not server.events("leading")
    assert stored(url) == here
    assert rows(url, "SELECT version_num FROM alembic_version") == [("9999",)]
    with connected(url) as cursor:
        cursor.execute(f"UPDATE alembic_version SET version_num = '{schema.newest()}'")
        cursor.execute("ALTER TABLE albums DROP COLUMN of_the_future")
    server.event("sync_finished", 30)
    tell(url, here, "a schema that was ahead")


@pytest.mark.parametrize("cut", [True, False] if os.environ.get("FRESHET_SOAK") else [True])
def test_a_schema_that_is_behind_is_migrated_by_the_server_also_after_it_was_killed_at_it(
    run: Run, manage: Manage, url: URL, publishing: str, cut: bool
) -> None:
    env = environment(url, **standin_settings(publishing), **OFTEN)
    assert manage("sync", env=env).returncode == 0
    here = stored(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(migrations.alembic_config(connection=connection), "-1")
    [behind] = rows(url, "SELECT version_num FROM alembic_version")
    if cut:
        with engine.begin() as holder:  # the migration waits in the middle of its transaction
            holder.execute(text("LOCK TABLE alembic_version IN SHARE MODE"))
            server = run(env=env)
            wait_until(lambda: rows(url, "SELECT pid FROM pg_locks WHERE NOT granted"), 20)
            time.sleep(0.2)
            server.process.kill()
            server.process.wait()
        engine.dispose()
        wait_until(lambda: not rows(url, "SELECT pid FROM pg_locks WHERE NOT granted"), 10)
        assert rows(url, "SELECT version_num FROM alembic_version") == [behind]
        assert stored(url) == here
    engine.dispose()
    server = run(env=env)
    server.event("leading")
    wait_until(lambda: server.get("/readyz")[0] == 200, 20)
    assert rows(url, "SELECT version_num FROM alembic_version") == [(schema.newest(),)]
    tell(url, here, "a migration, killed at it first" if cut else "a migration")
