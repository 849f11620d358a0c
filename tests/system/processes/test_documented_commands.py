"""Commands of the documents that no other test runs are run as they stand there."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from sqlalchemy import URL, create_engine, text

from server.config import libpq
from server.database.embedded.programs import binaries
from server.standin.faults.definitions import ANSWERS, PAGES, TEXTS, WIRE
from tests.support import documented
from tests.support.documented_commands import ASKING, BY_A_SHELL, ON_A_DATABASE, STANDIN, USAGE
from tests.support.paths import ROOT
from tests.support.server_processes import NOTHING, Manage, Server, environment, standin_settings

TIMED_OUT = 28  # curl's exit code


@pytest.mark.parametrize("command", BY_A_SHELL)
def test_a_command_for_the_shell_works(command: str, tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    shutil.copy(ROOT / ".env.example", tmp_path)
    moved = command.replace("/etc/", f"{tmp_path}/etc/").replace("/var/", f"{tmp_path}/var/")
    moved = re.sub("^python3? ", f"{sys.executable} ", moved)
    env = NOTHING | {"PYTHONPATH": str(ROOT)}
    done = shell(moved.replace("/opt/freshet", str(ROOT)), env, tmp_path)
    if command.startswith("install"):
        written = moved.split()[-1]
        assert (tmp_path / written).stat().st_mode & 0o777 == 0o600
    elif command.startswith(("cp", "mkdir")):
        assert (tmp_path / "etc/systemd/system/freshet.service").exists() or (
            tmp_path / "var/cache/nginx"
        ).is_dir()
    elif "secrets" in command:
        assert len(done.strip()) >= 32, "a SECRET has so many"
    else:
        assert done or command.startswith("umask")


def shell(command: str, env: dict[str, str], folder: Path = ROOT) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_the_stand_in_lists_its_faults(manage: Manage) -> None:
    done = manage(*STANDIN.split()[2:], env=NOTHING)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: manage.py standin [OPTIONS]\n")
    assert {*ANSWERS, *WIRE, *PAGES, *TEXTS} <= set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "command"),
    [("server.postgres", "postgres"), ("server.spotify.standin", "standin")],
)
def test_the_old_form_of_a_command_works_and_names_the_new_one(
    module: str, command: str, manage: Manage
) -> None:
    old = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        env=NOTHING,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (old.returncode, old.stdout) == (0, manage(command, "--help", env=NOTHING).stdout)
    assert old.stderr == f"`python -m {module}` is now `manage.py {command}`.\n"


@pytest.mark.parametrize("usage", USAGE)
def test_help_knows_each_option_of_the_readme(usage: str, manage: Manage) -> None:
    done = manage(usage.split()[2], "--help", env=NOTHING)
    assert done.returncode == 0
    options = re.findall(r"\[(--?[a-z-]+)", usage)
    assert options
    for option in options:
        assert re.search(rf"(?<![\w-]){option}\b", done.stdout), option


def test_the_settings_of_the_documents_are_settings(manage: Manage) -> None:
    found = [
        block
        for file in documented.GUIDES
        for name, block in documented.blocks(file)
        if name == "ini"
    ]
    assert found
    for block in found:
        settings = dict(line.split("=", 1) for line in block.splitlines())
        done = manage("config", env=environment("embedded:", **settings))
        assert done.returncode == 0, done.stderr
        for name, value in settings.items():
            assert f"{name}={value}\n" in done.stdout


def test_a_schema_is_taken_back_to_the_number_before(database_url: URL) -> None:
    numbers = sorted(each.name[:4] for each in (ROOT / "alembic" / "versions").glob("*.py"))
    assert version(database_url) == numbers[-1]
    command = ON_A_DATABASE["downgrade"].replace("python", sys.executable)
    env = environment(database_url.set(drivername="postgresql"))
    shell(f"{command.replace('NUMBER', numbers[-2])} 2>&1", env)
    assert version(database_url) == numbers[-2]


def version(url: URL) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        number = str(connection.scalar(text("SELECT version_num FROM alembic_version")))
    engine.dispose()
    return number


def test_a_dump_is_restored_into_an_empty_database_of_a_role_without_rights(
    database_url: URL, tmp_path: Path
) -> None:
    names = libpq.variables(database_url.set(drivername="postgresql"))
    env = NOTHING | {"PATH": f"{binaries()}:/usr/bin:/bin"} | names
    admin = create_engine(database_url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE ROLE plain LOGIN"))
        try:
            shell(ON_A_DATABASE["create"].replace("freshet", "plain"), env)
            shell("pg_dump -Fc -f freshet.dump", env, tmp_path)
            command = ON_A_DATABASE["restore"].replace("NAME", "plain")
            shell(command, env | {"PGUSER": "plain"}, tmp_path)
            assert version(database_url.set(database="plain")) == version(database_url)
        finally:
            connection.execute(text("DROP DATABASE IF EXISTS plain WITH (FORCE)"))
            connection.execute(text("DROP ROLE plain"))
    admin.dispose()


def members(answer: str) -> set[str]:
    return set(re.findall(r'"(\w+)":', answer))


def test_what_the_documents_ask_is_answered_as_they_say(
    run: Callable[..., Server], database_url: URL, spotify: str
) -> None:
    server = run(env=environment(database_url, **standin_settings(spotify)))
    server.event("sync_finished", 60)

    def ask(command: str) -> tuple[str, str]:
        """Return the status and the body; an answer without an end is read for half a second."""
        words = shlex.split(command.replace(":5000", f":{server.port}"))
        words += ["-sS", "--max-time", "0.5" if "-N" in words else "20", "-w", "\n%{http_code}"]
        done = subprocess.run(words, env=NOTHING, capture_output=True, text=True, check=False)
        assert done.returncode == (TIMED_OUT if "-N" in words else 0), done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return status, body

    for command in ASKING:
        status, body = ask(command.replace("after=812-0b5e61f3", "after=0"))
        assert status == "200", command
        assert ("-N" in command) or orjson.loads(body)["items"], command
    shown = [(name, block) for file in documented.GUIDES for name, block in documented.blocks(file)]
    for name, block in shown:
        if name == "console":
            command, answer = block.removeprefix("$ ").split("\n", 1)
            _, body = ask(command.replace("after=812-0b5e61f3", "after=0"))
            assert members(answer) <= members(body), command
    (refusal,) = [block for name, block in shown if name == "json"]
    status, body = ask(ASKING[1])
    assert status == "410", "the journal of this server has not come as far"
    assert members(refusal) <= members(body)
    assert server.stop() == 0
