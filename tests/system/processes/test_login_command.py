"""`manage.py login`: a login by copy and paste, as a person at a terminal or a script does it."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from tests.support.server_processes import agree, environment, standin_settings

LAN = {"PUBLIC_URL": "http://raspberrypi.local:5000"}


def log_in(manage_py: Path, env: dict[str, str], answer: str | None) -> tuple[int, str, str]:
    """Run the command and answer it; None closes its input. Its code, output and errors."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(manage_py), "login"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    assert process.stdout is not None
    told = ""
    while not (line := process.stdout.readline()).startswith("http"):
        assert process.poll() is None, told
        told += line
    pasted = agree(line.strip(), answer) + "\n" if answer else ""
    out, errors = process.communicate(pasted, timeout=30)
    return process.returncode, told + line + out, errors


def test_a_login_is_stored_by_what_was_pasted(
    manage_py: Path, database_url: URL, spotify: str
) -> None:
    env = environment(database_url, **LAN, **standin_settings(spotify))
    code, told, errors = log_in(manage_py, env, "agree")
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
    manage_py: Path, database_url: URL, spotify: str, answer: str | None, says: str
) -> None:
    env = environment(database_url, **LAN, **standin_settings(spotify))
    code, _, errors = log_in(manage_py, env, answer)
    assert code == 1
    assert says in errors
    assert "Traceback" not in errors
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM logins")) == 0
    engine.dispose()
