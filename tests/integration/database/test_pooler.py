"""PgBouncer in front of the database: sessions may be pooled, transactions may not."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from server.database import schema
from server.database.advisory_lock import SYNC, SessionLock
from server.database.embedded import EmbeddedPostgres
from server.database.embedded.identity import identity
from server.database.embedded.programs import spawn
from server.database.engine import make_engine
from server.database.executor import Database
from server.errors import DatabaseUnsuitable
from tests.support.client import Client
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.preflight import finding
from tests.support.servers import LaunchFreshet
from tests.support.settings import MakeSettings
from tests.support.waiting import until

SETTINGS = """
[databases]
* = host={host} port={port} user=freshet
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_round_robin = {in_turn}
server_reset_query = DISCARD ALL
"""

Pool = Callable[..., URL]


@pytest.fixture
def pool(postgres: EmbeddedPostgres, database_url: URL, tmp_path: Path) -> Iterator[Pool]:
    """Put PgBouncer in front of this test's database; gives the address to use instead."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no pgbouncer")
    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str, size: int = 20, in_turn: int = 0) -> URL:
        listen, host = free_port(), postgres.url.query["host"]
        port, file = postgres.url.query["port"], tmp_path / "pgbouncer.ini"
        values = {"host": host, "port": port, "listen": listen, "mode": mode, "size": size}
        file.write_text(SETTINGS.format(**values, in_turn=in_turn))
        with (tmp_path / "pgbouncer.log").open("wb") as log:  # which refuses to be root, too
            running.append(spawn(identity(postgres.folder), [program, str(file)], log))
        deadline = time.monotonic() + 60
        while not is_open(listen):
            assert time.monotonic() < deadline, (tmp_path / "pgbouncer.log").read_text()
            time.sleep(0.01)
        return URL.create(
            database_url.drivername, "freshet", None, "127.0.0.1", listen, database_url.database
        )

    yield start
    for each in running:
        each.kill()
        each.wait()


@pytest.mark.parametrize(("size", "in_turn"), [(1, 0), (2, 1), (3, 1), (20, 0)])
@pytest.mark.gen_test
async def test_a_pooler_of_transactions_is_refused_whatever_its_size_and_order(
    pool: Pool, size: int, in_turn: int
) -> None:
    url = pool("transaction", size, in_turn)
    if size > 1:  # sessions that other clients have left behind, more than one
        await _use(url, 3)
    engine = make_engine(url)
    with pytest.raises(DatabaseUnsuitable, match="changes sessions between transactions"):
        schema.create(engine)
    engine.dispose()
    found = await finding(url)
    assert found.level == "fault"
    assert str(found.fix).startswith("set pool_mode = session in it (PgBouncer), or name Post")


@pytest.mark.gen_test
async def test_a_server_behind_a_pooler_of_transactions_never_leads_and_says_why(
    pool: Pool, make_settings: MakeSettings, launch_freshet: LaunchFreshet
) -> None:
    url = pool("transaction").render_as_string()
    freshet = launch_freshet(make_settings(database_url=url))
    await until(lambda: freshet.supervisor.refusal)
    ready = await Client(freshet).fetch("/readyz")
    assert ready.code == 503
    assert "set pool_mode = session in it" in ready.body.decode()
    assert not freshet.jobs.leadership.leads


@pytest.mark.gen_test
async def test_a_pooler_of_sessions_serves_locks_as_postgresql_itself_does(pool: Pool) -> None:
    url = pool("session")
    engine = make_engine(url)
    assert schema.create(engine) == schema.newest()
    engine.dispose()
    assert (await finding(url)).level == "ok"
    databases = [Database(url), Database(url)]
    locks = [SessionLock(database, SYNC) for database in databases]
    for database in databases:
        database.connect()
    assert [await lock.acquire() for lock in locks] == [True, False]
    await locks[0].release()
    assert await locks[1].acquire()
    await locks[1].release()
    for database in databases:
        database.close()


async def _use(url: URL, connections: int) -> None:
    """Have the pooler open several sessions at the same time."""
    database = Database(url)
    database.connect()
    sleeps = (database.run(lambda session: session.connection()) for _ in range(connections))
    await asyncio.gather(*sleeps, return_exceptions=True)
    database.close()


def test_ci_installs_what_these_tests_need() -> None:
    assert "needed+=(pgbouncer)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
