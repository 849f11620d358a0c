"""The schema's life, from an empty server to the newest revision and back, on real PostgreSQL."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from sqlalchemy import URL, Engine, inspect, make_url, text

from alembic import command
from models import Base
from server.database import migrations, schema
from server.database.embedded import EmbeddedPostgres
from server.database.engine import make_engine
from server.errors import DatabaseUnavailable, DatabaseUnsuitable, SchemaMismatch
from tests.support.paths import ROOT
from tests.support.scripts import RunScript, Script, StartScript
from tests.support.server_processes import NOTHING

NEWEST = sorted((ROOT / "alembic" / "versions").glob("[0-9]*.py"))[-1].name.partition("_")[0]
OURS = set(Base.metadata.tables)

CREATE = """
import sys
from sqlalchemy import make_url
from server.database import migrations, schema
from server.database.engine import make_engine
engine = make_engine(make_url(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(schema.create(engine))
"""
ALEMBIC = """
import os, runpy, sys
os.chdir(os.environ["ROOT"])
runpy.run_module("alembic", run_name="__main__", alter_sys=True)
"""
StartTwo = Callable[[URL], list[Script]]


@pytest.fixture
def engine(empty_database_url: URL) -> Iterator[Engine]:
    """Of a database without any table."""
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def administration(postgres: EmbeddedPostgres) -> Iterator[Any]:
    """A cursor that may do anything."""
    connection = connect(postgres.url.set(database="postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


@pytest.fixture
def missing(
    postgres: EmbeddedPostgres, administration: Any, request: pytest.FixtureRequest
) -> Iterator[URL]:
    """The address of a database that does not exist; whoever made it, it is dropped."""
    name = getattr(request, "param", "missing")
    yield postgres.url.set(database=name)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    administration.execute(drop)


def connect(url: URL) -> Any:
    return psycopg2.connect(
        host=url.query["host"], port=url.query["port"], user=url.username, dbname=url.database
    )


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


@pytest.fixture
def start_two(start_script: StartScript) -> StartTwo:
    """Two processes that have all but begun to create the schema."""

    def start(url: URL) -> list[Script]:
        address = url.render_as_string(hide_password=False)
        scripts = [start_script(CREATE, address) for _ in range(2)]
        for script in scripts:
            assert script.output.readline() == "ready\n"
        return scripts

    return start


def add_an_artist(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO artists (spotify_id, name, uri, external_urls)"
                " VALUES ('a', 'Ölga', 'spotify:artist:a', '{}')"
            )
        )


def artists(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT name FROM artists")).scalars())


def test_an_empty_database_is_brought_to_the_newest_revision(engine: Engine) -> None:
    assert schema.create(engine) == NEWEST == schema.newest()
    assert tables(engine) == OURS | {"alembic_version"}
    with engine.connect() as connection:
        schema.check(connection)


def test_migrations_make_exactly_what_the_models_say(engine: Engine) -> None:
    schema.create(engine)
    with engine.connect() as connection:
        command.check(migrations.alembic_config(connection=connection))


def test_down_to_nothing_and_up_again(engine: Engine) -> None:
    schema.create(engine)
    with engine.begin() as connection:
        command.downgrade(migrations.alembic_config(connection=connection), "base")
    assert tables(engine) == {"alembic_version"}
    with engine.connect() as connection:
        assert schema.current(connection) is None
    assert schema.create(engine) == NEWEST
    assert tables(engine) == OURS | {"alembic_version"}


def test_creating_again_keeps_every_row(engine: Engine) -> None:
    schema.create(engine)
    add_an_artist(engine)
    assert schema.create(engine) == NEWEST
    assert artists(engine) == ["Ölga"]


def test_two_processes_that_migrate_at_once_take_turns(
    engine: Engine, administration: Any, start_two: StartTwo
) -> None:
    scripts = start_two(engine.url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": schema.MIGRATION_LOCK})
        for script in scripts:
            script.tell("")
        deadline, waiting = time.monotonic() + 60, 0
        while waiting < 2 and time.monotonic() < deadline:
            administration.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            (waiting,) = administration.fetchone()
            time.sleep(0.02)
        assert waiting == 2
    engine.dispose()
    assert [script.finish() for script in scripts] == [f"{NEWEST}\n"] * 2
    assert [script.process.returncode for script in scripts] == [0, 0]
    assert tables(engine) == OURS | {"alembic_version"}


def test_two_processes_make_a_missing_database_at_once(missing: URL, start_two: StartTwo) -> None:
    scripts = start_two(missing)
    for script in scripts:
        script.tell("")
    assert [script.finish() for script in scripts] == [f"{NEWEST}\n"] * 2


@pytest.mark.parametrize(
    "missing",
    ['my-db "x"', "a:b%c", "MiXed", "ünï☃'", "%(x)s\\"],
    indirect=True,
)
def test_a_database_of_any_name_is_made(missing: URL) -> None:
    engine = make_engine(missing)
    try:
        assert schema.create(engine) == NEWEST
        with engine.connect() as connection:
            name = connection.execute(text("SELECT current_database()")).scalar_one()
            encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
            order = connection.execute(text("SELECT 'B' < 'a' COLLATE \"default\"")).scalar_one()
        assert (name, encoding, order) == (missing.database, "UTF8", True)
    finally:
        engine.dispose()


def test_a_missing_database_that_may_not_be_made_is_a_clear_error(
    missing: URL, administration: Any
) -> None:
    administration.execute("CREATE ROLE humble LOGIN")
    engine = make_engine(missing.set(username="humble"))
    try:
        with pytest.raises(DatabaseUnavailable, match="missing does not exist and could not be"):
            schema.create(engine)
    finally:
        engine.dispose()
        administration.execute("DROP ROLE humble")


def test_missing_rights_in_the_schema_are_a_clear_error(
    empty_database_url: URL, administration: Any
) -> None:
    administration.execute("CREATE ROLE humble LOGIN")
    engine = make_engine(empty_database_url.set(username="humble"))
    try:
        with pytest.raises(DatabaseUnsuitable, match="humble may not create tables in the schema"):
            schema.create(engine)
    finally:
        engine.dispose()
        administration.execute("DROP ROLE humble")


def test_tables_of_somebody_else_are_refused_and_kept(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE artists AS SELECT 'theirs' AS name"))
    with pytest.raises(SchemaMismatch, match='relation "artists" already exists'):
        schema.create(engine)
    assert tables(engine) == {"artists"}
    assert artists(engine) == ["theirs"]


def test_a_schema_that_is_ahead_is_a_clear_error_and_untouched(engine: Engine) -> None:
    schema.create(engine)
    add_an_artist(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="revision 9999, which is that of a newer"):
        schema.create(engine)
    with engine.connect() as connection, pytest.raises(SchemaMismatch, match="revision 9999"):
        schema.check(connection)
    assert artists(engine) == ["Ölga"]


def test_a_schema_that_is_behind_is_a_clear_error(engine: Engine) -> None:
    with (
        engine.connect() as connection,
        pytest.raises(SchemaMismatch, match=f"revision none, this Freshet needs {NEWEST}: run py"),
    ):
        schema.check(connection)
    assert not tables(engine)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg2://freshet:sesame@127.0.0.1:1/freshet",
        "postgresql+psycopg2://freshet:sesame@/freshet?host=/nowhere",
        "postgresql+psycopg2://freshet:sesame@127.0.0.1:1/freshet?no_such_option=1",
    ],
)
def test_a_server_that_is_not_there_is_a_quick_and_clear_error(address: str) -> None:
    engine = make_engine(make_url(address))
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable) as caught:
        schema.create(engine)
    assert time.monotonic() - began < 2
    message = str(caught.value)
    assert any(word in message for word in ("refused", "No such file", "no_such_option"))
    assert "\n" not in message
    assert "sesame" not in message
    engine.dispose()


def test_the_library_is_found_from_the_repositorys_root() -> None:
    script = "import importlib.util; print(importlib.util.find_spec('alembic').origin)"
    out = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == command.__file__.replace("command", "__init__")


def test_alembics_command_line_works(empty_database_url: URL, run_script: RunScript) -> None:
    """Run from the repository's root."""
    address = empty_database_url.render_as_string(hide_password=False)
    env = NOTHING | {"ALEMBIC_CONFIG": "setup.cfg", "ROOT": str(ROOT), "DATABASE_URL": address}
    run_script(ALEMBIC, "upgrade", "head", env=env)
    assert run_script(ALEMBIC, "current", env=env) == f"{NEWEST} (head)\n"
