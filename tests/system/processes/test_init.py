"""`manage.py init` on a terminal: what it asks, hides and colours, and how it is broken off."""

import fcntl
import os
import pty
import select
import shutil
import signal
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.config import environment
from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.paths import ROOT
from tests.support.server_processes import NOTHING, standin_settings

COLOUR = "\x1b[1m"
NOTHING_THERE = "http://127.0.0.1:9"


@pytest.fixture
def env_file(manage_py: Path) -> Iterator[Path]:
    """Where the copy of the program has its `.env`."""
    file = manage_py.parent / ".env"
    shutil.copy(ROOT / ".env.example", manage_py.parent)
    yield file
    file.unlink(missing_ok=True)
    assert not [each for each in file.parent.glob(".env.*") if each.suffix != ".example"]


def _be_in_front() -> None:
    """Take the terminal, with Ctrl-C at work even if the tests run in the background of a shell."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


# For a process that is forked; the terminal that it opened first is its own.
IN_FRONT = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)"""


class Terminal:
    """A person at a terminal, who answers what is asked.

    The process is forked from `fork_server`; without one it is a fresh interpreter.
    """

    def __init__(
        self,
        manage_py: Path,
        *options: str,
        fork_server: ForkServer | None = None,
        **env: str,
    ) -> None:
        self.told = ""
        self._screen, other = pty.openpty()
        env = NOTHING | standin_settings(NOTHING_THERE) | {"TERM": "xterm"} | env
        self.process: ForkedProcess | subprocess.Popen[bytes]
        if fork_server is not None:
            place = os.ttyname(other)
            self.process = fork_server.start(
                str(manage_py), ["init", *options], env, place, source=place, state=IN_FRONT
            )
            select.select([self._screen], [], [], 20)  # what it tells, for which it has opened it
            os.close(other)
            return
        self.process = subprocess.Popen(
            [sys.executable, str(manage_py), "init", *options],
            env=env,
            stdin=other,
            stdout=other,
            stderr=other,
            cwd="/",
            start_new_session=True,
            preexec_fn=_be_in_front,
        )
        os.close(other)

    def read(self, until: str, seconds: float = 20) -> str:
        """Read on until this is there, or to the end."""
        deadline = time.monotonic() + seconds
        start = len(self.told)
        while until not in self.told[start:] and time.monotonic() < deadline:
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    self.told += os.read(self._screen, 65536).decode()
                except OSError:  # it has ended
                    break
        return self.told[start:]

    def answer(self, asked: str, text: str) -> None:
        assert asked in self.read(asked), self.told
        os.write(self._screen, text.encode())

    def end(self) -> int:
        self.read("\0")
        os.close(self._screen)
        return self.process.wait(20)


def test_on_a_terminal_it_asks_hides_the_secret_and_ends_with_the_doctor(
    manage_py: Path, env_file: Path
) -> None:
    terminal = Terminal(manage_py)
    terminal.answer("Client ID: ", "our-id\n")
    terminal.answer("Client secret (not shown): ", "hush\n")
    terminal.answer("[127.0.0.1]: ", "0.0.0.0\n")
    terminal.answer("Port [5000]: ", "http\n")
    terminal.answer("Port [5000]: ", "5123\n")
    terminal.answer(":5123]: ", "http://raspberrypi.local:5123\n")
    assert terminal.end() == 1, "there is no Spotify"
    assert "hush" not in terminal.told
    assert "PORT must be a whole number" in terminal.told
    assert f"{COLOUR}  http://127.0.0.1:5123/auth/callback/" in terminal.told
    written, _, report = terminal.told.partition("`manage.py doctor` checks all this:")
    assert f"Wrote {env_file}. Only its owner can read it." in written
    assert "ok     settings" in report
    assert "fault  Spotify       cannot be reached" in report
    values = environment.read_file(env_file)
    assert len(values.pop("SECRET")) >= 32
    assert values == {
        "CLIENT_ID": "our-id",
        "CLIENT_SECRET": "hush",
        "HOST": "0.0.0.0",
        "PORT": "5123",
        "PUBLIC_URL": "http://raspberrypi.local:5123",
    }
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert "# Any setting can be read from a file" in env_file.read_text()


def test_a_terminal_without_colour_gets_none(
    manage_py: Path, env_file: Path, fork_server: ForkServer
) -> None:
    env = {"CLIENT_ID": "our-id", "CLIENT_SECRET": "hush", "NO_COLOR": "1"}
    terminal = Terminal(manage_py, "--yes", fork_server=fork_server, **env)
    terminal.end()
    assert "/auth/callback/" in terminal.told
    assert "\x1b" not in terminal.told
    assert env_file.exists()


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_broken_off_on_a_terminal_nothing_is_written(
    manage_py: Path, env_file: Path, fork_server: ForkServer, key: str
) -> None:
    terminal = Terminal(manage_py, fork_server=fork_server)
    terminal.answer("Client ID: ", "our-id\n")
    terminal.answer("Client secret (not shown): ", key)
    assert terminal.end() == 1
    assert "Aborted!" in terminal.told
    assert "Traceback" not in terminal.told
    assert not env_file.exists()
