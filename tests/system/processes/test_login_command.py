"""`manage.py login`: a login by copy and paste, as a person at a terminal or a script does it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.support.fork_server import ForkServer
from tests.support.server_processes import agree, environment, standin_settings
from tests.support.waiting import wait_until

LAN = {"PUBLIC_URL": "http://raspberrypi.local:5000"}


LogIn = Callable[[dict[str, str], str | None], tuple[int, str, str]]


@pytest.fixture
def log_in(fork_server: ForkServer, manage_py: Path, tmp_path: Path) -> LogIn:
    """Return a function that runs the command and answers it: its code, output and errors.

    None closes its input.
    """

    def run(env: dict[str, str], answer: str | None) -> tuple[int, str, str]:
        typed, told, errors = tmp_path / "typed", tmp_path / "told", tmp_path / "errors"
        os.mkfifo(typed)
        process = fork_server.start(str(manage_py), ["login"], env, told, errors, source=typed)
        with typed.open("w", encoding="utf-8") as keys:
            wait_until(lambda: address(told) or process.poll() is not None, 30)
            found = address(told)
            assert found is not None, errors.read_text()
            if answer:
                keys.write(agree(found, answer) + "\n")
        return process.wait(30), told.read_text(), errors.read_text()

    return run


def address(told: Path) -> str | None:
    """Return the line that is an address, once it is told."""
    found = re.search(r"^(http.*)\n", told.read_text() if told.exists() else "", re.MULTILINE)
    return found[1] if found else None


def test_a_login_is_stored_by_what_was_pasted(
    log_in: LogIn, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **LAN, **standin_settings(spotify))
    code, told, errors = log_in(env, "agree")
    assert (code, errors) == (0, "")
    assert "redirect URI: http://127.0.0.1:5000/auth/callback/\n" in told
    assert "Logged in as Robin" in told
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM logins")) == 1
        assert connection.scalar(text("SELECT count(*) FROM sessions")) == 0
    engine.dispose()


@pytest.mark.parametrize(
    ("answer", "says"),
    [("cancel", "Freshet stopped: You cancelled the login."), (None, "Aborted!")],
)
def test_a_login_that_is_broken_off_exits_1_and_stores_nothing(
    log_in: LogIn, database_url: URL, spotify: str, answer: str | None, says: str
) -> None:
    env = environment(database_url, **LAN, **standin_settings(spotify))
    code, _, errors = log_in(env, answer)
    assert code == 1
    assert says in errors
    assert "Traceback" not in errors
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM logins")) == 0
    engine.dispose()
