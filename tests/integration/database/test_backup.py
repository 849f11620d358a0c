"""What docs/operating.md says of backups: everything comes back, to the byte."""

import re
import shlex
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from server.app.application import Application
from server.config.addresses import EmbeddedDatabase
from server.config.libpq import variables
from server.database.embedded import EmbeddedPostgres, processes
from server.database.embedded.identity import chown_to, identity
from server.database.embedded.programs import run as programs_run
from server.database.embedded.programs import spawn
from server.database.engine import make_engine
from server.database.executor import Database, open_engine
from server.doctor.database import of_database
from tests.support.client import Client
from tests.support.databases import CopyCluster
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.server_processes import NOTHING, Manage
from tests.support.servers import LaunchFreshet, StartFreshet
from tests.support.settings import SECRET, MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

MANUAL = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
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
    section = MANUAL.partition("## Backups")[2].partition("\n## ")[0]
    line = r"^\.venv/bin/python (manage\.py postgres .+)$"
    found = re.findall(line, section, re.MULTILINE)
    assert [line.split()[2] for line in found] == ["pg_dump", "pg_restore"]
    return [line.split() for line in found]


def run(manage: Manage, command: list[str], url: str, folder: Path) -> None:
    """Run a line of the manual as the program does that has this environment and no other."""
    program, *words = command
    assert program == "manage.py"
    file = str(folder / "freshet.dump")
    words = [file if word == "freshet.dump" else word for word in words]
    done = manage(*words, env=NOTHING | {"DATABASE_URL": url, "PGHOST": "elsewhere.invalid"})
    assert (done.returncode, done.stderr) == (0, "")


async def answers(freshet: Application) -> dict[str, tuple[bytes, str | None]]:
    told = {}
    for path in PATHS:
        answer = await Client(freshet).fetch(path)
        assert answer.code == 200
        told[path] = (answer.body, answer.headers.get("ETag"))
    return told


@pytest.mark.gen_test(timeout=60)
async def test_a_database_that_was_dropped_comes_back_from_a_dump_to_the_byte(
    start_standin: StartStandIn,
    start_freshet: StartFreshet,
    make_settings: MakeSettings,
    launch_freshet: LaunchFreshet,
    database_url: URL,
    postgres: EmbeddedPostgres,
    manage: Manage,
    tmp_path: Path,
) -> None:
    dump, restore = commands()
    url = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
    first = await start_freshet(start_standin())
    await until(lambda: not first.syncer.is_running)
    await first.stop()
    before_settings = make_settings(sync_interval=0)
    reader = launch_freshet(before_settings)
    await until(reader.loaded.is_set)
    before = await answers(reader)
    run(manage, dump, url, tmp_path)
    assert stat.S_IMODE((tmp_path / "freshet.dump").stat().st_mode) == 0o600
    await reader.stop()
    admin = create_engine(postgres.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {database_url.database} WITH (FORCE)"))
    admin.dispose()
    run(manage, restore, url, tmp_path)
    second = launch_freshet(before_settings)
    await until(second.loaded.is_set)
    assert await answers(second) == before
    assert b"spotify_id" in before["/api/artists/"][0]


def test_an_embedded_database_needs_no_running_server(
    manage: Manage, copy_cluster: CopyCluster, tmp_path: Path
) -> None:
    dump, restore = commands()
    here, there = copy_cluster(tmp_path / "here"), tmp_path / "there"
    with open_engine(EmbeddedDatabase(here)) as engine, engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE kept AS SELECT 'ü' || n AS t FROM generate_series(1, 9) n")
        )
    run(manage, dump, f"embedded:{here}", tmp_path)
    run(manage, restore, f"embedded:{there}", tmp_path)
    run(manage, restore, f"embedded:{there}", tmp_path)  # over what is there
    with open_engine(EmbeddedDatabase(there)) as engine, engine.connect() as connection:
        assert connection.scalar(text("SELECT string_agg(t, '' ORDER BY t) FROM kept")) == "".join(
            f"ü{n}" for n in range(1, 10)
        )


@pytest.fixture
def older(tmp_path: Path) -> Iterator[URL]:
    """A database that does not exist yet, on a server of the system's PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("there is no PostgreSQL of the system")
    programs, data = found[0].parent, tmp_path / "older"
    data.mkdir(mode=0o700)
    how = identity(data)
    chown_to(how, data)
    options = ["-D", str(data), "-U", "freshet", "-A", "trust", "--no-sync"]
    made = programs_run(how, [str(programs / "initdb"), *options])
    assert made.returncode == 0, made.stdout
    port = free_port()
    options = ["-p", str(port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"]
    with (tmp_path / "older.log").open("wb") as log:
        server = spawn(how, [str(programs / "postgres"), "-D", str(data), *options], log)
    deadline = time.monotonic() + 60
    while not is_open(port):
        assert time.monotonic() < deadline, (tmp_path / "older.log").read_text()
        time.sleep(0.05)
    yield URL.create("postgresql", "freshet", None, "127.0.0.1", port, "moved")
    processes.end(server, data)


def moving() -> list[str]:
    """The lines of the manual that move everything into another database."""
    section = MANUAL.partition("## Moving from the embedded database to your own")[2]
    return section.split("```")[1].removeprefix("sh\n").strip().splitlines()


def move(manage: Manage, source: str, target: str, folder: Path, *without: str) -> None:
    """Carry the manual's commands out, to the letter but for addresses and the interpreter."""
    env = NOTHING | {"DATABASE_URL": source}
    *lines, last = moving()
    assert last.endswith("manage.py doctor")
    for line in lines:
        if line.startswith("export DATABASE_URL=postgresql://"):
            env["DATABASE_URL"] = target
            continue
        line = line.replace("freshet.dump", f"{folder}/dump").replace(
            "freshet.sql", f"{folder}/sql"
        )
        for word in without:
            line = line.replace(word, "")
        command, pipe, filters = line.partition(" | ")
        interpreter, program, *words = shlex.split(command)
        assert (interpreter, program) == (".venv/bin/python", "manage.py")
        done = manage(*words, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        if pipe:
            subprocess.run(
                ["/bin/sh", "-c", filters], input=done.stdout, env=NOTHING, text=True, check=True
            )
        else:
            assert done.stdout == ""
    assert env["DATABASE_URL"] == target


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_everything_moves_to_an_older_server_and_back(
    database_url: URL, older: URL, manage: Manage, tmp_path: Path
) -> None:
    """From the embedded PostgreSQL to Debian's, which does not know all its settings."""
    add = text(
        "INSERT INTO artists (spotify_id, name, uri, external_urls) "
        "VALUES (:id, 'Ölga ☃', 'spotify:artist:a', '{}') RETURNING id"
    )

    def added(url: URL, spotify_id: str) -> tuple[int, int]:
        engine = make_engine(url.set(drivername="postgresql+psycopg2"))
        with engine.begin() as connection:
            number = connection.execute(add, {"id": spotify_id}).scalar_one()
            names = "SELECT count(*) FROM artists WHERE name = 'Ölga ☃'"
            count = connection.execute(text(names)).scalar_one()
        engine.dispose()
        return number, count

    here = database_url.set(drivername="postgresql")
    assert added(here, "a") == (1, 1)
    there, back = older.render_as_string(), here.set(database="moved_back")
    move(manage, here.render_as_string(), there, tmp_path)
    assert added(older, "b") == (2, 2)
    move(manage, there, back.render_as_string(), tmp_path, " -l C")
    database = Database(back.set(drivername="postgresql+psycopg2"))
    assert (await of_database(database)).level == "ok"
    database.close()
    assert added(back, "c") == (3, 3)
    admin = create_engine(database_url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE moved_back WITH (FORCE)"))
    admin.dispose()


def test_ci_installs_a_postgresql_of_the_system() -> None:
    assert "needed+=(postgresql)" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


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


def call(
    manage: Manage, *arguments: str, url: str = "embedded:"
) -> "subprocess.CompletedProcess[str]":
    return manage("postgres", *arguments, env=NOTHING | {"DATABASE_URL": url, "SECRET": SECRET})


@pytest.mark.parametrize(
    ("arguments", "url", "said"),
    [
        ([], "embedded:", "Usage: manage.py postgres PROGRAM [ARGUMENT]...\n"),
        (["pg_dmp"], "embedded:", "PostgreSQL has no program 'pg_dmp'; is it pg_dump?\n"),
        (["--file"], "embedded:", "No such option '--file'.\n"),
        (["../bin/psql"], "embedded:", "PostgreSQL has no program '../bin/psql'.\n"),
        ([""], "embedded:", "PostgreSQL has no program ''.\n"),
        (["psql"], "mysql://x", "  DATABASE_URL  must be postgresql://"),
    ],
)
def test_what_cannot_be_run_is_said(
    manage: Manage, arguments: list[str], url: str, said: str
) -> None:
    done = call(manage, *arguments, url=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    if "no program" in said:
        assert {"pg_dump,", "pg_restore,", "psql,"} <= set(done.stderr.split())


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_says_how_it_is_used_whatever_the_settings_are(manage: Manage, word: str) -> None:
    done = call(manage, word, url="mysql://x")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: manage.py postgres PROGRAM [ARGUMENT]...\n")
    for _, _, program, *words in commands():
        assert " ".join([program, *words]).replace("freshet.dump", "FILE") in done.stdout
