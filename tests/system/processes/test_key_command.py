"""`manage.py key`: keys for servers that nobody logs in to."""

import re
import shlex
import subprocess
from collections.abc import Callable

import orjson
import pytest
from sqlalchemy import URL

from tests.support.documented_commands import MY_ARTISTS
from tests.support.server_processes import Manage, Server, environment, standin_settings

KEYS = "/api/my/keys/"


@pytest.fixture
def env(database_url: URL) -> dict[str, str]:
    return environment(database_url)


def test_a_key_is_made_listed_and_revoked(manage: Manage, env: dict[str, str]) -> None:
    assert manage("key", "list", env=env).stderr.startswith("There are no keys.")
    made = manage("key", "create", "nightly job", "--scope", "sync", "--scope", "read", env=env)
    assert (made.returncode, made.stderr.count("\n")) == (0, 1)
    key = made.stdout.removesuffix("\n")
    assert re.fullmatch(r"fr_[\w-]{43}", key), "stdout is the key alone, for scripts"

    listed = manage("key", "list", env=env)
    headings, row = listed.stdout.splitlines()
    assert headings.split() == ["ID", "NAME", "SCOPES", "KEY", "MADE", "LAST", "USED"]
    number, name, scopes, hint, _, used = re.split(r"  +", row)
    assert (name, scopes, hint, used) == ("nightly job", "read,sync", f"{key[:7]}…", "never")

    assert manage("key", "revoke", number, env=env).returncode == 0
    again = manage("key", "revoke", number, env=env)
    assert (again.returncode, again.stdout) == (1, "")
    assert f"no key of the server has the id {number}" in again.stderr
    assert manage("key", "list", env=env).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "x"], "Missing option '--scope'"),
        (["create", "x", "--scope", "root"], "'root' is not one of"),
        (["create", "", "--scope", "read"], "NAME needs 1 to 100 characters"),
        (["create", "a\x1b[2J", "--scope", "read"], "NAME needs 1 to 100 characters"),
        (["revoke", "0"], "0 is not in the range"),
        (["revoke", "x"], "'x' is not a valid integer"),
    ],
)
def test_a_wrong_call_is_told_and_makes_nothing(
    manage: Manage, env: dict[str, str], arguments: list[str], told: str
) -> None:
    done = manage("key", *arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "\x1b" not in done.stderr


def test_a_running_server_takes_the_key_and_shows_it_in_no_log(
    run: Callable[..., Server], manage: Manage, database_url: URL, spotify: str
) -> None:
    settings = environment(database_url, **standin_settings(spotify), ACCESS_LOG="all")
    key = manage("key", "create", "script", "--scope", "manage", env=settings).stdout.strip()
    server = run(env=settings)
    server.event("sync_finished")
    watch, make, *ask = MY_ARTISTS
    assert manage(*shlex.split(watch)[2:], env=settings).returncode == 0
    reader = manage(*shlex.split(make)[2:], env=settings).stdout.strip()
    for command, answered in zip(ask, ('"watched":1', "<feed"), strict=True):
        written = command.replace("KEY", reader).replace(":5000", f":{server.port}")
        done = subprocess.run(shlex.split(written), capture_output=True, text=True, check=True)
        assert answered in done.stdout
    sent = {"Authorization": f"Bearer {key}"}
    answer = server.get(KEYS, **sent)
    assert (answer[0], len(orjson.loads(answer[2])["items"])) == (200, 2)
    for path in (
        f"/api/albums/?key={key}",
        f"/api/albums/?limit=1&key={key}&q=x",
        f"/api/albums/?%6bey={key}",
        f"/feeds/my/none?key={key}",
        f"{KEYS}{key}",
        f"/nowhere?next=%2Ffeeds%3Fkey%3D{key}",
    ):
        for _ in range(3):  # at last by the fast lane
            server.get(path)
    rows = manage("key", "list", env=settings).stdout.splitlines()[1:]
    assert not [row for row in rows if row.endswith("never")]
    server.stop()
    text = server.log.read_text()
    assert text.count("http_request") >= 19
    for secret in (key, reader):
        assert secret not in text
        assert secret[7:20] not in text
