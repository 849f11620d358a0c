"""Databases that cannot be used are refused before anything is stored, with a fix that works.

The fix that `doctor` proposes is carried out to the letter, and then the finding is gone.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy.exc
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from alembic import command
from server.catalog import query
from server.catalog.query import AlbumsQuery
from server.config.libpq import variables
from server.database import migrations, schema
from server.database.embedded import EmbeddedPostgres
from server.database.embedded.programs import binaries
from server.database.engine import make_engine, translated_errors
from server.database.executor import Database, open_engine
from server.database.readiness import DatabaseProbe
from server.database.supervisor import DatabaseSupervisor
from server.doctor import Finding
from server.errors import DatabaseUnavailable, DatabaseUnsuitable
from server.storage.reading import pages
from tests.support.cursors import cursor_on
from tests.support.preflight import finding, search_finding
from tests.support.scripts import RunScript

NAME = "unfit"
UNFIT = ("LATIN1", "SQL_ASCII", "EUC_JP")
OTHERS = "CREATE TABLE artists AS SELECT 'theirs' AS name"


@pytest.fixture
def superuser(postgres: EmbeddedPostgres) -> Callable[..., None]:
    """Run statements as a superuser, in any database."""
    url = postgres.url
    place = {"host": url.query["host"], "port": url.query["port"], "user": url.username}

    def run(*statements: str, database: str = "postgres") -> None:
        with cursor_on(**place, dbname=database) as cursor:
            for statement in statements:
                cursor.execute(statement)

    return run


@pytest.fixture
def program(postgres: EmbeddedPostgres) -> Callable[[str], None]:
    """Run a command line of PostgreSQL's programs as a superuser."""
    env = {
        "PATH": f"{binaries()}:/usr/bin:/bin",
        **variables(postgres.url.set(database="postgres")),
    }

    def run(command: str) -> None:
        subprocess.run(command, shell=True, env=env, check=True, capture_output=True, text=True)

    return run


@pytest.fixture
def unfit(postgres: EmbeddedPostgres, superuser: Callable[..., None]) -> Iterator[URL]:
    """The address of a database that a test makes, as a role without any rights of its own."""
    superuser("CREATE ROLE humble LOGIN")
    yield postgres.url.set(database=NAME, username="humble")
    superuser(
        f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)",
        "DROP DATABASE IF EXISTS fit WITH (FORCE)",
        "DROP ROLE humble",
    )


def create(url: URL) -> str:
    engine = make_engine(url)
    try:
        return schema.create(engine)
    finally:
        engine.dispose()


def require_agreement(url: URL) -> None:
    """Raise Alembic's error if the database is not as the models say."""
    with open_engine(url) as engine, engine.connect() as connection:
        command.check(migrations.alembic_config(connection=connection))


def releases_with(words: str, url: URL) -> int:
    """How many releases a search finds."""
    asked = query.parse(AlbumsQuery, f"limit=9&q={quote(words)}")
    with open_engine(url) as engine, Session(engine) as session, session.begin():
        found = pages.read_page(session, asked, None, date(2026, 11, 14), 9)
    assert found is not None
    return len(found.page.items)


def create_in(encoding: str) -> str:
    return (
        f"CREATE DATABASE {NAME} OWNER humble ENCODING '{encoding}' LOCALE_PROVIDER libc "
        "LOCALE 'C' TEMPLATE template0"
    )


@pytest.mark.parametrize("encoding", UNFIT)
@pytest.mark.gen_test
async def test_an_encoding_that_cannot_hold_every_name_is_refused_until_the_data_has_moved(
    unfit: URL, superuser: Callable[..., None], program: Callable[[str], None], encoding: str
) -> None:
    superuser(create_in(encoding))
    name = "ç" if encoding == "LATIN1" else "c"
    superuser(f"CREATE TABLE kept AS SELECT '{name}' AS name", database=NAME)
    with pytest.raises(DatabaseUnsuitable, match=f"has the encoding {encoding}, which cannot"):
        create(unfit)
    found = await finding(unfit)
    assert found.level == "fault"
    for line in re.findall("`(.+?)`", found.fix or ""):
        program(line.replace("NEW", "fit").replace("OLD", NAME))
    superuser("ALTER DATABASE fit OWNER TO humble")
    fit = unfit.set(database="fit")
    create(fit)
    assert (await finding(fit)).level == "ok"
    engine = make_engine(fit.set(username="freshet"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM kept")) == name
    engine.dispose()


@pytest.mark.gen_test
async def test_an_encoding_is_told_by_readyz_where_the_schema_is_there(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(create_in("SQL_ASCII"))
    database = Database(unfit)
    database.connect()
    try:
        assert "has the encoding SQL_ASCII" in str(
            await DatabaseProbe(database, DatabaseSupervisor(database)).fault()
        )
    finally:
        database.close()


@pytest.mark.parametrize("may_make", [True, False])
@pytest.mark.gen_test
async def test_a_database_that_does_not_exist_is_made_as_doctor_says(
    unfit: URL, superuser: Callable[..., None], program: Callable[[str], None], may_make: bool
) -> None:
    if may_make:
        superuser("ALTER ROLE humble CREATEDB")
    found = await finding(unfit)
    assert (found.level, found.text) == ("fault", f"the database {NAME} does not exist")
    if may_make:
        assert found.fix == schema.CREATE
    else:
        program(str(found.fix).removeprefix("as a superuser, run "))
    create(unfit)
    assert (await finding(unfit)).level == "ok"


@pytest.mark.gen_test
async def test_a_role_without_rights_on_the_schema_is_granted_them_as_doctor_says(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(f"CREATE DATABASE {NAME} TEMPLATE template0")
    found = await finding(unfit)
    assert found.text == "the role humble may not create tables in the schema public"
    with pytest.raises(DatabaseUnsuitable, match="may not create tables"):
        create(unfit)
    superuser(str(found.fix).partition("run in it: ")[2], database=NAME)
    found = await finding(unfit)
    assert found.fix == schema.CREATE
    create(unfit)
    assert (await finding(unfit)).level == "ok"


@pytest.mark.gen_test
async def test_rights_in_a_schema_of_any_name_are_granted_as_doctor_says(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(f"CREATE DATABASE {NAME} TEMPLATE template0")
    for role in ("humble", "freshet"):
        superuser(f"ALTER ROLE {role} IN DATABASE {NAME} SET search_path = 'Our schema'")
    superuser('CREATE SCHEMA "Our schema"', database=NAME)
    superuser('GRANT USAGE ON SCHEMA "Our schema" TO humble', database=NAME)
    found = await finding(unfit)
    superuser(str(found.fix).partition("run in it: ")[2], database=NAME)
    assert (await finding(unfit)).fix == schema.CREATE
    create(unfit.set(username="freshet"))
    superuser(f"ALTER ROLE freshet IN DATABASE {NAME} RESET search_path")
    found = await finding(unfit)
    superuser(str(found.fix).partition(": ")[2], database=NAME)
    assert (await finding(unfit)).level == "ok"


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.gen_test
async def test_tables_of_another_role_are_given_away_as_doctor_says(
    unfit: URL, superuser: Callable[..., None], behind: bool
) -> None:
    superuser(f"CREATE DATABASE {NAME} TEMPLATE template0")
    create(unfit.set(username="freshet"))
    superuser("GRANT CREATE ON SCHEMA public TO humble", database=NAME)
    if behind:
        tables = "ALL TABLES IN SCHEMA public"
        superuser(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO humble", database=NAME)
        assert (await finding(unfit)).level == "ok"
        superuser("UPDATE alembic_version SET version_num = '0005'", database=NAME)
    found = await finding(unfit)
    if behind and schema.newest() == "0005":
        return
    verb = "alter" if behind else "use"
    assert found.text.startswith(f"the role humble may not {verb} the tables of Freshet")
    superuser(str(found.fix).partition(": ")[2], database=NAME)
    found = await finding(unfit)
    assert (found.level, found.fix) == (("fault", schema.CREATE) if behind else ("ok", None))


@pytest.mark.gen_test
async def test_a_role_that_may_not_make_indexes_for_searches_is_served_and_helped_as_doctor_says(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(f"CREATE DATABASE {NAME} TEMPLATE template0")
    superuser(f"ALTER DATABASE {NAME} SET extension_control_path = '/nowhere'")
    superuser("GRANT USAGE, CREATE ON SCHEMA public TO humble", database=NAME)
    create(unfit)
    require_agreement(unfit)
    assert releases_with("ólafur", unfit) == 0
    found = await search_finding(unfit)
    assert found is not None
    assert "lacks the extension pg_trgm" in found.text
    superuser(f"ALTER DATABASE {NAME} RESET extension_control_path")  # it is installed
    create(unfit)
    found = await search_finding(unfit)
    assert found is not None
    assert "this role may not make them" in found.text
    superuser(str(found.fix).partition("database: ")[2], database=NAME)
    assert await search_finding(unfit) is None
    assert releases_with("ólafur", unfit) == 0
    superuser(
        "DROP INDEX ix_albums_searched",
        "CREATE SCHEMA extensions",
        "ALTER EXTENSION pg_trgm SET SCHEMA extensions",
        "GRANT USAGE ON SCHEMA extensions TO humble",
        database=NAME,
    )
    found = await search_finding(unfit)
    assert found is not None
    assert found.fix == schema.CREATE
    create(unfit)
    assert await search_finding(unfit) is None
    require_agreement(unfit)


@pytest.mark.gen_test
async def test_a_database_that_allows_only_reading_is_opened_as_doctor_says(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(f"CREATE DATABASE {NAME} OWNER humble TEMPLATE template0")
    superuser(f"ALTER DATABASE {NAME} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnsuitable, match="is read-only"):
        create(unfit)
    found = await finding(unfit)
    assert found.text == "the database is read-only"
    superuser(str(found.fix).partition("run: ")[2])
    assert (await finding(unfit)).fix == schema.CREATE
    create(unfit)
    assert (await finding(unfit)).level == "ok"


@pytest.mark.gen_test
async def test_a_newer_schema_needs_a_newer_program_and_not_create_db(
    unfit: URL, superuser: Callable[..., None]
) -> None:
    superuser(f"CREATE DATABASE {NAME} OWNER humble TEMPLATE template0")
    create(unfit)
    superuser("UPDATE alembic_version SET version_num = '9999'", database=NAME)
    found = await finding(unfit)
    assert "at revision 9999, which is that of a newer version" in found.text
    assert str(found.fix).startswith("run that version, or restore a backup from before")
    assert "create_db" not in str(found.fix)


@pytest.mark.gen_test
async def test_no_statement_and_no_link_is_in_an_errors_text(unfit: URL, superuser: Any) -> None:
    superuser(f"CREATE DATABASE {NAME} OWNER humble TEMPLATE template0")
    database = Database(unfit)
    database.connect()
    try:
        for statement in ("SELECT 1 / 0", "SELECT nonsense()", "SELEKT"):
            with pytest.raises(Exception) as caught:
                await database.run(lambda session, sql: session.execute(text(sql)), statement)
            told = [str(caught.value), str(caught.value.__cause__)]
            assert not [each for each in told if "[SQL" in each or "sqlalche.me" in each]
            assert "\n" not in str(caught.value)
            assert caught.value.__notes__ == [f"[SQL: {statement}]"]  # for tracebacks
    finally:
        database.close()


def test_waiting_for_a_connection_in_vain_is_told_without_a_link() -> None:
    with pytest.raises(DatabaseUnavailable) as caught, translated_errors():
        raise sqlalchemy.exc.TimeoutError("QueuePool limit of size 4 reached", code="3o7r")
    assert str(caught.value) == "no connection became free in 10 s"


@pytest.mark.parametrize("deep", [True, False])
def test_a_place_that_may_not_be_written_to_is_found_and_made_as_doctor_says(
    run_script: RunScript, tmp_path: Path, deep: bool
) -> None:
    closed = tmp_path / "it's closed"
    closed.mkdir(mode=0o555)
    folder = closed / "var" / "postgres" if deep else closed / "postgres"
    found = finding_of_ordinary_user(run_script, folder)
    assert (found.level, found.about) == ("fault", "database")
    account = re.findall(r"because (\S+) may not write to (.+)$", found.text)[0]
    assert account[1] == str(closed)
    fix = str(found.fix)
    if deep:  # the account is another one's name in a namespace
        command = re.findall("`(.+)`", fix)[0].replace(f"-o {account[0]}", f"-o {os.geteuid()}")
        closed.chmod(0o755)
        subprocess.run(command, shell=True, check=True)
        closed.chmod(0o555)
    else:
        assert "install" not in fix
        folder = Path(fix.rpartition("embedded:")[2].replace("/DIR", str(tmp_path / "postgres")))
    assert finding_of_ordinary_user(run_script, folder).level == "note"
    closed.chmod(0o755)


ORDINARY = """
import asyncio, dataclasses, json, os, pwd, sys
from pathlib import Path
from server.config.addresses import EmbeddedDatabase
from server.database.executor import Database
from server.doctor.database import of_database
from server.database.embedded.launcher import enter_user_namespace

if os.geteuid() == 0:
    enter_user_namespace(pwd.getpwnam("nobody").pw_uid)
found = asyncio.run(of_database(Database(EmbeddedDatabase(Path(sys.argv[1])))))
print(json.dumps(dataclasses.asdict(found)))
"""


def finding_of_ordinary_user(run_script: RunScript, folder: Path) -> Finding:
    """What doctor finds for a user who is not root, or for root without its privileges."""
    return Finding(**json.loads(run_script(ORDINARY, str(folder))))
