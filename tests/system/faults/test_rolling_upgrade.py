"""Two servers on one database are replaced by a newer version, one after the other, under load."""

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import URL

from server.database import schema
from tests.support.cursors import connected
from tests.support.fork_server import ForkServer
from tests.support.load_reports import begun, told
from tests.support.server_processes import Server, environment, standin_settings
from tests.support.waiting import until
from tests.system.faults.balance import stored
from tests.system.faults.load import Load
from tests.system.faults.place import ARTISTS, OFTEN, serves

pytestmark = pytest.mark.slow

Run = Callable[..., Server]
HEARD = 5.0  # seconds for all to have heard of one sync before the next
STARTING = 20.0  # seconds
HANDED_OVER = 6.0  # seconds from the migration to another leader: 3 to see it, 2 to try
NEXT = "9000"
MIGRATION = f'''
import sqlalchemy as sa

from alembic import op

revision = "{NEXT}"
down_revision = "{schema.newest()}"


def upgrade() -> None:
    op.add_column("albums", sa.Column("of_the_next_version", sa.Text, server_default="x"))
    op.create_index("ix_albums_of_the_next_version", "albums", ["of_the_next_version"])
'''


@pytest.fixture
def next_version(manage_py: Path, tmp_path: Path) -> Iterator[ForkServer]:
    """Copy the program, add a migration, and start the process that its servers are forked from."""
    tree = shutil.copytree(manage_py.parent, tmp_path / "next")
    (tree / "alembic" / "versions" / f"{NEXT}_the_next_version.py").write_text(MIGRATION)
    (folder := tmp_path / "fork_server").mkdir()
    fork_server = ForkServer(tree, folder)
    yield fork_server
    fork_server.close()


def readiness(server: Server) -> tuple[int, str]:
    status, _, body = server.get("/readyz")
    return status, body.decode()


@pytest.mark.gen_test(timeout=120)
async def test_servers_are_upgraded_one_after_the_other_with_a_migration_and_no_request_fails(
    run: Run, url: URL, publishing: str, next_version: ForkServer
) -> None:
    env = environment(url, **standin_settings(publishing), **OFTEN)
    env |= {"ACCESS_LOG": "off", "PUBLIC_URL": "https://music.example"}

    async def replaced(old: Server) -> Server:
        old.process.send_signal(signal.SIGTERM)
        await until(lambda: old.process.poll() is not None, 10)
        assert old.process.returncode == 0
        new = run("-p", str(old.port), env=env, parent=next_version)
        new.port = old.port
        return await begun(new, STARTING)

    leader, other = await asyncio.gather(
        begun(run(env=env), STARTING), begun(run(env=env), STARTING)
    )
    await until(lambda: leader.events("leading") or other.events("leading"), STARTING)
    if other.events("leading"):
        leader, other = other, leader
    here = stored(url)
    load = Load([leader.port, other.port], pause=0.08)
    async with load.running():
        await asyncio.sleep(0.5)
        newer, migrated = await replaced(other), time.monotonic()

        # Between the two: the older one answers, says that it is to be upgraded, and stands down.
        await until(lambda: newer.events("leading"), HANDED_OVER)
        handed_over = time.monotonic() - migrated
        [ended] = leader.events("leading_ended")
        assert f"the schema is at revision {NEXT}" in ended["reason"]
        status, body = readiness(leader)
        assert status == 503
        assert f"the schema is at revision {NEXT}" in body
        assert readiness(newer)[0] == 200
        assert serves(leader)
        # Before its first sync, the newer one may show details of artists that came after the last.
        await until(lambda: newer.events("sync_finished"), 10)
        await until(lambda: leader.get(ARTISTS)[2] == newer.get(ARTISTS)[2], HEARD)

        newest = await replaced(leader)
        await asyncio.sleep(0.2)
    lost = here - stored(url)
    print(
        f"\nrolling upgrade: {told(load)}, led by the new version after {handed_over:.1f} s, "
        f"{len(lost)} of {len(here)} releases lost"
    )
    assert load.failed == []
    assert load.answered > 200
    assert load.refused, "one of them was down"
    for server in (newer, newest):
        assert readiness(server)[0] == 200
        assert orjson.loads(server.get("/api/status")[2])["stale"] is False
    failures = [each.events("sync_failed") for each in (leader, other, newer, newest)]
    assert failures == [[], [], [], []]
    assert not lost
    with connected(url) as cursor:
        cursor.execute("SELECT count(*) FROM albums WHERE of_the_next_version = 'x'")
        assert cursor.fetchone()[0] >= len(here)


def test_a_server_that_is_older_than_the_schema_syncs_for_nobody(
    run: Run, url: URL, publishing: str
) -> None:
    """Nor does it hold the lead, whoever else there is."""
    env = environment(url, **standin_settings(publishing), **OFTEN)
    server = run(env=env)
    server.event("sync_finished")
    with connected(url) as cursor:
        cursor.execute(f"UPDATE alembic_version SET version_num = '{NEXT}'")
    server.event("leading_ended", HANDED_OVER)
    syncs, here = len(server.events("sync_finished")), stored(url)
    time.sleep(0.5)
    assert not server.events("sync_failed")
    with connected(url) as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        held = cursor.fetchone()[0]
    assert held == 0
    assert serves(server)
    assert (len(server.events("sync_finished")), stored(url)) == (syncs, here)
    with connected(url) as cursor:
        cursor.execute(f"UPDATE alembic_version SET version_num = '{schema.newest()}'")
    deadline = time.monotonic() + HANDED_OVER
    while len(server.events("leading")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
