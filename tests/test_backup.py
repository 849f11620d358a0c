"""What docs/operating.md says of backups: everything comes back, to the byte."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from server.addresses import EmbeddedDatabase
from server.app import Freshet
from server.database import open_engine
from server.libpq import variables
from tests.client import Client
from tests.conftest import ROOT, SECRET, until

MANUAL = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
NOTHING = {"PATH": "/usr/bin:/bin"}
PATHS = (
    "/api/artists/",
    "/api/artists/?include=markets&sort=name",
    "/api/albums/",
    "/api/changes/",
    "/feeds/albums.atom",
    "/feeds/albums.ics",
)


def commands() -> list[list[str]]:
    """The two of the manual, without the interpreter's place."""
    found = re.findall(r"^\.venv/bin/python (-m server\.postgres .+)$", MANUAL, re.MULTILINE)
    assert [line.split()[2] for line in found] == ["pg_dump", "pg_restore"]
    return [line.split() for line in found]


def run(command: list[str], url: str, folder: Path) -> None:
    file = str(folder / "freshet.dump")
    command = [sys.executable, *(file if word == "freshet.dump" else word for word in command)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=NOTHING | {"DATABASE_URL": url, "PGHOST": "elsewhere.invalid"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


async def answers(freshet: Freshet) -> dict[str, tuple[bytes, str | None]]:
    told = {}
    for path in PATHS:
        answer = await Client(freshet).fetch(path)
        assert answer.code == 200
        told[path] = (answer.body, answer.headers.get("ETag"))
    return told


@pytest.mark.gen_test(timeout=60)
async def test_a_database_that_was_dropped_comes_back_from_a_dump_to_the_byte(
    start_standin: Any,
    start_freshet: Any,
    make_settings: Any,
    launch_freshet: Any,
    database_url: URL,
    postgres: Any,
    tmp_path: Path,
) -> None:
    dump, restore = commands()
    url = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    first = await start_freshet(start_standin())
    await until(lambda: not first.syncer.is_running)
    await first.stop()
    before_settings = make_settings(sync_interval=0)
    reader = launch_freshet(before_settings)
    await until(reader.read.is_set)
    before = await answers(reader)
    run(dump, url, tmp_path)
    await reader.stop()
    admin = create_engine(postgres.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {database_url.database} WITH (FORCE)"))
    admin.dispose()
    run(restore, url, tmp_path)
    second = launch_freshet(before_settings)
    await until(second.read.is_set)
    assert await answers(second) == before
    assert b"spotify_id" in before["/api/artists/"][0]


def test_an_embedded_database_needs_no_running_server(tmp_path: Path) -> None:
    dump, restore = commands()
    here, there = tmp_path / "here", tmp_path / "there"
    with open_engine(EmbeddedDatabase(here)) as engine:
        admin = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            exists = connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = 'freshet'"))
            if not exists:
                connection.execute(text("CREATE DATABASE freshet"))
        admin.dispose()
        with engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE kept AS SELECT 'ü' || n AS t FROM generate_series(1, 9) n")
            )
    run(dump, f"embedded:{here}", tmp_path)
    run(restore, f"embedded:{there}", tmp_path)
    run(restore, f"embedded:{there}", tmp_path)  # over what is there
    with open_engine(EmbeddedDatabase(there)) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT string_agg(t, '' ORDER BY t) FROM kept")) == "".join(
            f"ü{n}" for n in range(1, 10)
        )


def test_a_password_and_options_become_variables() -> None:
    url = make_url(
        "postgresql://me:p%40ss@db.example:5433/fresh?sslmode=require&connect_timeout=3"
        "&target_session_attrs=primary"
    )
    assert variables(url) == {
        "PGHOST": "db.example",
        "PGPORT": "5433",
        "PGUSER": "me",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "fresh",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "3",
        "PGTARGETSESSIONATTRS": "primary",
    }


def call(*arguments: str, url: str = "embedded:") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "server.postgres", *arguments],
        cwd=ROOT,
        env=NOTHING | {"DATABASE_URL": url, "SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "url", "said"),
    [
        ([], "embedded:", "Usage: python -m server.postgres PROGRAM"),
        (["pg_dmp"], "embedded:", "PostgreSQL has no program 'pg_dmp'; is it pg_dump?\n"),
        (["--file"], "embedded:", "PostgreSQL has no program '--file'.\n"),
        (["../bin/psql"], "embedded:", "PostgreSQL has no program '../bin/psql'.\n"),
        ([""], "embedded:", "PostgreSQL has no program ''.\n"),
        (["psql"], "mysql://x", "DATABASE_URL must be postgresql://"),
    ],
)
def test_what_cannot_be_run_is_said(arguments: list[str], url: str, said: str) -> None:
    done = call(*arguments, url=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    if "no program" in said:
        assert {"pg_dump,", "pg_restore,", "psql,"} <= set(done.stderr.split())


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_says_how_it_is_used_whatever_the_settings_are(word: str) -> None:
    done = call(word, url="mysql://x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: python -m server.postgres PROGRAM [ARGUMENT]...\n")
    for _, _, program, *words in commands():
        assert " ".join([program, *words]).replace("freshet.dump", "FILE") in done.stdout
