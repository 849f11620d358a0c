"""The bridge off the loop: transactions, lost connections, and an end in good time."""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy.exc
from sqlalchemy import URL, CursorResult, text
from sqlalchemy.orm import Session

from server.config.addresses import EmbeddedDatabase
from server.database.embedded import EmbeddedPostgres
from server.database.embedded.processes import PostmasterFile
from server.database.engine import THREADS, make_engine
from server.database.executor import Database, open_engine
from server.errors import DatabaseUnavailable, EmbeddedPostgresError, SchemaMismatch
from tests.support.databases import FAST_POSTGRES, CopyCluster
from tests.support.scripts import StartScript
from tests.support.waiting import until, wait_until

CLOSING = """
import asyncio, os, sys
from sqlalchemy import text
from server.config.addresses import parse_database_url
from server.database.executor import Database

async def main():
    database = Database(parse_database_url(sys.argv[1]))
    database.connect()
    def hang(session):
        print(session.execute(text("SELECT pg_backend_pid()")).scalar_one(), flush=True)
        sys.stdin.readline()
        session.execute(text("SELECT 1"))

    hanging = asyncio.create_task(database.run(hang))
    while not os.path.exists(sys.argv[2]):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)  # for `hang` to reach its second statement
    hanging.cancel()
    database.close()
    print("closed", flush=True)

asyncio.run(main())
"""


def execute(session: Session, /, statement: str, **parameters: Any) -> Any:
    """For `run`: the first value of a statement's first row, if it has any."""
    result = session.execute(text(statement), parameters)
    return result.scalar() if isinstance(result, CursorResult) and result.returns_rows else None


def several(session: Session, *statements: str) -> None:
    for statement in statements:
        session.execute(text(statement))


@pytest.fixture(scope="session")
def shared_address(postgres: EmbeddedPostgres) -> URL:
    """Of a database that all these tests use, for making one takes longer than most of them."""
    admin(postgres.url.set(database="postgres"), "CREATE DATABASE bridge")
    return postgres.url.set(database="bridge")


@pytest.fixture
def address(shared_address: URL) -> Iterator[URL]:
    """Of a database whose only table, if any, is `t` and is dropped in the end."""
    yield shared_address
    admin(shared_address, "DROP TABLE IF EXISTS t")


@pytest.fixture
def database(address: URL) -> Iterator[Database]:
    database = Database(address)
    database.connect()
    yield database
    database.close()


@pytest.fixture(scope="session")
def embedded(copy_cluster: CopyCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an embedded server that may be harmed."""
    return copy_cluster(tmp_path_factory.mktemp("harmed") / "data")


def postmaster(folder: Path) -> int:
    running = PostmasterFile.read(folder)
    assert running is not None
    return running.pid


def admin(url: URL, statement: str) -> None:
    """Run a statement on a connection that nobody else knows."""
    connection = psycopg2.connect(
        host=url.query["host"], port=url.query["port"], user=url.username, dbname=url.database
    )
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


# Transactions


@pytest.mark.gen_test
async def test_run_commits_and_returns_what_the_function_returns(database: Database) -> None:
    await database.run(several, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)")
    assert await database.run(execute, "SELECT a FROM t WHERE a = :a", a=7) == 7


@pytest.mark.gen_test
async def test_run_rolls_back_everything_when_the_function_raises(database: Database) -> None:
    await database.run(execute, "CREATE TABLE t (a int)")

    def fail(session: Session) -> None:
        execute(session, "INSERT INTO t VALUES (1)")
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        await database.run(fail)
    assert await database.run(execute, "SELECT count(*) FROM t") == 0


@pytest.mark.gen_test
async def test_the_loop_turns_while_the_database_works(database: Database) -> None:
    ticks = 0
    running = asyncio.create_task(database.run(execute, "SELECT pg_sleep(0.4)"))
    while not running.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5


@pytest.mark.gen_test
async def test_runs_go_side_by_side_and_the_rest_wait(database: Database) -> None:
    began = time.monotonic()
    runs = [database.run(execute, "SELECT pg_sleep(0.1)") for _ in range(3 * THREADS)]
    await asyncio.gather(*runs)
    assert 0.3 <= time.monotonic() - began < 0.1 * 3 * THREADS
    connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await database.run(execute, connections) == THREADS


@pytest.mark.gen_test
async def test_a_cancelled_run_harms_no_other(database: Database) -> None:
    tasks = [asyncio.create_task(database.run(execute, "SELECT pg_sleep(0.2)")) for _ in range(9)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    assert await database.run(execute, "SELECT 1") == 1


# Sessions


@pytest.mark.gen_test
async def test_sessions_are_in_utc_whatever_others_say(
    address: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("PGOPTIONS", "-c timezone=Asia/Tokyo")
    monkeypatch.setenv("PGCLIENTENCODING", "SQL_ASCII")
    admin(address, f"ALTER DATABASE {address.database} SET timezone TO 'Asia/Tokyo'")
    database = Database(address)
    database.connect()
    try:
        assert await database.run(execute, "SHOW timezone") == "UTC"
        moment = await database.run(execute, "SELECT timestamptz '2026-11-20 00:00:00+00'")
        assert moment.isoformat() == "2026-11-20T00:00:00+00:00"
        assert await database.run(execute, "SELECT :text", text="ö☃") == "ö☃"
    finally:
        database.close()
        admin(address, f"ALTER DATABASE {address.database} RESET timezone")


@pytest.mark.gen_test
async def test_sessions_are_named_and_statements_limited(database: Database) -> None:
    shown = [
        await database.run(execute, f"SHOW {name}")
        for name in ("application_name", "statement_timeout", "lock_timeout")
    ]
    assert shown == ["freshet", "1min", "1min"]


@pytest.mark.gen_test
async def test_what_the_address_says_wins_over_our_defaults(address: URL) -> None:
    query = {"application_name": "mine", "connect_timeout": "2", "options": "-c search_path=here"}
    database = Database(address.update_query_dict(query))
    database.connect()
    try:
        assert await database.run(execute, "SHOW application_name") == "mine"
        assert await database.run(execute, "SHOW search_path") == "here"
        assert await database.run(execute, "SHOW timezone") == "UTC"
    finally:
        database.close()


def test_a_host_that_vanishes_is_noticed_within_half_a_minute(embedded: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listening = {"listen_addresses": "127.0.0.1", "port": str(port)}
    server = EmbeddedPostgres(embedded, {**FAST_POSTGRES, **listening})
    server.start()
    engine = make_engine(server.url.update_query_dict({"host": "127.0.0.1"}))
    try:
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            with socket.socket(fileno=os.dup(driver.fileno())) as ours:
                assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
                found = [
                    ours.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names
                ]
                assert found == [15, 5, 3, 30_000]
    finally:
        engine.dispose()
        server.stop()


# Errors


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT nonsense()", sqlalchemy.exc.ProgrammingError),
        ("SELECT nonsense", SchemaMismatch),
        ("SELECT 1 FROM nowhere", SchemaMismatch),
        ("SELECT 1 / 0", sqlalchemy.exc.DataError),
        ("INSERT INTO t VALUES (1), (1)", sqlalchemy.exc.IntegrityError),
        ("SELECT 'x'::int", sqlalchemy.exc.DataError),
    ],
)
@pytest.mark.gen_test
async def test_errors_of_sql_are_not_taken_for_a_lost_connection(
    database: Database, statement: str, error: type[Exception]
) -> None:
    await database.run(execute, "CREATE TABLE t (a int PRIMARY KEY)")
    before = await database.run(execute, "SELECT pg_backend_pid()")
    with pytest.raises(error):
        await database.run(execute, statement)
    assert await database.run(execute, "SELECT pg_backend_pid()") == before


@pytest.mark.gen_test
async def test_a_deferred_fault_at_commit_is_not_taken_for_a_lost_connection(
    database: Database,
) -> None:
    table = "CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    await database.run(execute, table)
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        await database.run(execute, "INSERT INTO t VALUES (1), (1)")


@pytest.mark.gen_test
async def test_an_overtaxed_database_is_unavailable(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="statement timeout"):
        await database.run(several, "SET LOCAL statement_timeout = 20", "SELECT pg_sleep(1)")
    assert await database.run(execute, "SELECT 1") == 1


@pytest.mark.gen_test
async def test_error_texts_show_no_parameters(database: Database) -> None:
    with pytest.raises(sqlalchemy.exc.ProgrammingError) as caught:
        await database.run(execute, "SELECT nowhere(:token)", token="sesame")
    assert "sesame" not in str(caught.value)
    assert "function nowhere(unknown) does not exist" in str(caught.value)
    await database.run(execute, "CREATE TABLE t (a text PRIMARY KEY)")
    await database.run(execute, "INSERT INTO t VALUES (:token)", token="sesame")
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="duplicate key value") as refused:
        await database.run(execute, "INSERT INTO t VALUES (:token)", token="sesame")
    texts = (str(refused.value), str(refused.value.orig), str(refused.value.__cause__))
    assert not [each for each in texts if "sesame" in each]


@pytest.mark.gen_test
async def test_a_connection_cut_in_the_middle_is_unavailable_and_the_next_works(
    database: Database,
) -> None:
    await database.run(execute, "CREATE TABLE t (a int)")
    with pytest.raises(DatabaseUnavailable):
        await database.run(
            several, "INSERT INTO t VALUES (1)", "SELECT pg_terminate_backend(pg_backend_pid())"
        )
    assert await database.run(execute, "SELECT count(*) FROM t") == 0


@pytest.mark.gen_test
async def test_connections_cut_while_idle_are_replaced_unnoticed(
    database: Database, address: URL
) -> None:
    await asyncio.gather(*(database.run(execute, "SELECT pg_sleep(0.1)") for _ in range(THREADS)))
    admin(
        address,
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    runs = (database.run(execute, "SELECT 1, pg_sleep(0.05)") for _ in range(THREADS))
    assert await asyncio.gather(*runs) == [1] * THREADS


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "Connection refused"),
        ({"no_such_option": "1"}, "no_such_option"),
        ({"sslmode": "nonsense"}, "sslmode"),
    ],
)
@pytest.mark.gen_test
async def test_a_server_that_cannot_be_reached_is_unavailable(
    query: dict[str, str], words: str
) -> None:
    address = URL.create(
        "postgresql+psycopg2", "freshet", "sesame", "127.0.0.1", 1, "freshet", query
    )
    database = Database(address)
    database.connect()
    try:
        with pytest.raises(DatabaseUnavailable, match=words) as caught:
            await database.run(execute, "SELECT 1")
        assert "sesame" not in str(caught.value)
    finally:
        database.close()


@pytest.mark.gen_test
async def test_before_connecting_and_after_closing_it_is_unavailable(address: URL) -> None:
    database = Database(address)
    with pytest.raises(DatabaseUnavailable, match="not connected yet"):
        await database.run(execute, "SELECT 1")
    database.connect()
    assert await database.run(execute, "SELECT 1") == 1
    database.close()
    database.close()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        await database.run(execute, "SELECT 1")
    with pytest.raises(DatabaseUnavailable, match="closed"):
        database.connect()


# The end


@pytest.mark.gen_test
async def test_closing_waits_for_what_runs_and_drops_what_waits(address: URL) -> None:
    others_threads = threading.enumerate()  # a frozen server keeps one for a while
    database = Database(address)
    database.connect()
    await database.run(execute, "CREATE TABLE t (a int)")
    work = ("SELECT pg_sleep(0.3)", "INSERT INTO t VALUES (1)")
    tasks = [asyncio.create_task(database.run(several, *work)) for _ in range(2 * THREADS)]
    await asyncio.sleep(0.1)
    database.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(map(type, results), key=str) == [
        *[type(None)] * THREADS,
        *[asyncio.CancelledError] * THREADS,
    ]
    with make_engine(address).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == THREADS
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"

        def alone() -> bool:
            connection.rollback()  # it would see the same activity again
            return bool(connection.execute(text(others)).scalar_one() == 1)

        wait_until(alone, 5, "a connection is left")  # PostgreSQL notices the end a little later
        connection.engine.dispose()
    await until(
        lambda: (
            not [
                each
                for each in threading.enumerate()
                if each.name == "database" and each not in others_threads
            ]
        )
    )


def test_a_frozen_server_does_not_keep_the_process(
    address: URL, embedded: Path, start_script: StartScript, tmp_path: Path
) -> None:
    """Each of two processes closes its database as soon as `go` exists, while it uses a backend."""
    go = tmp_path / "go"
    theirs = start_script(CLOSING, address.render_as_string(hide_password=False), str(go))
    ours = start_script(CLOSING, f"embedded:{embedded}", str(go))
    their_backend, our_backend = (int(each.output.readline()) for each in (theirs, ours))
    our_postmaster = postmaster(embedded)
    for pid in (their_backend, our_backend, our_postmaster):
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        go.touch()
        theirs.tell("")
        assert theirs.finish() == "closed\n"
        assert time.monotonic() - began < 5
        ours.tell("")
        assert ours.finish() == "closed\n"
        assert time.monotonic() - began < 10
        assert theirs.process.returncode == ours.process.returncode == 0
    finally:
        os.kill(their_backend, signal.SIGCONT)
    assert not Path(f"/proc/{our_postmaster}").exists()
    with open_engine(EmbeddedDatabase(embedded)) as engine, engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


# The embedded server


@pytest.mark.gen_test
async def test_connecting_again_revives_a_killed_embedded_server(embedded: Path) -> None:
    database = Database(EmbeddedDatabase(embedded))
    try:
        await database.compute(database.connect)
        await database.run(execute, "CREATE TABLE t AS SELECT 7 AS a")
        waiting = [
            asyncio.create_task(database.run(execute, "SELECT pg_sleep(30)"))
            for _ in range(THREADS)
        ]
        await asyncio.sleep(0.2)
        pid = postmaster(embedded)
        os.kill(pid, signal.SIGKILL)
        for each in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(each, DatabaseUnavailable)
        with pytest.raises(DatabaseUnavailable):
            await database.run(execute, "SELECT 1")

        def reaped() -> bool:
            database.connect()
            return postmaster(embedded) != pid

        await until(reaped)
        runs = (database.run(execute, "SELECT a, pg_sleep(0.05) FROM t") for _ in range(THREADS))
        assert await asyncio.gather(*runs) == [7] * THREADS
        count = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        assert await database.run(execute, count) == THREADS
    finally:
        database.close()
    assert PostmasterFile.read(embedded) is None


def test_an_embedded_server_that_cannot_start_is_the_familys_error(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    database = Database(EmbeddedDatabase(tmp_path))
    with pytest.raises(EmbeddedPostgresError):
        database.connect()
    database.close()


@pytest.mark.gen_test
async def test_a_database_that_may_only_be_read_is_unavailable(database: Database) -> None:
    await database.run(execute, "CREATE TABLE t (a int)")
    with pytest.raises(DatabaseUnavailable, match="read-only"):
        await database.run(execute, "SET TRANSACTION READ ONLY; INSERT INTO t VALUES (1)")
