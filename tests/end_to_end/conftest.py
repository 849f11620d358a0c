"""What end-to-end tests share: the program in a process of its own, on a copy of the tree."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import URL

from tests.conftest import ROOT, SECRET

NOTHING = {"PATH": "/usr/bin:/bin"}

Manage = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(database_url: URL | str, **settings: str) -> dict[str, str]:
    url = database_url if isinstance(database_url, str) else database_url.render_as_string(False)
    return NOTHING | {
        "CLIENT_ID": "standin-client",
        "CLIENT_SECRET": "standin-secret",
        "SECRET": SECRET,
        "DATABASE_URL": url,
        **settings,
    }


@pytest.fixture(scope="session")
def manage_py(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program, so that no `.env` and no data of a developer's is in the way."""
    tree = tmp_path_factory.mktemp("freshet")
    for name in ("server", "handlers", "models", "alembic"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "setup.cfg"):
        shutil.copy(ROOT / name, tree)
    return tree / "manage.py"


@pytest.fixture
def manage(manage_py: Path) -> Manage:
    """Run a command to its end."""

    def run(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error", str(manage_py), *arguments]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, cwd="/", check=False
        )

    return run


class Server:
    """A running `manage.py run`, its log lines, and a way to ask it.

    `through` is a command that becomes the one that is given to it.
    """

    def __init__(
        self,
        manage_py: Path,
        log: Path,
        *arguments: str,
        env: dict[str, str],
        through: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.log = log
        command = [*through, sys.executable, "-W", "error", str(manage_py), "run"]
        command += ["-h", "127.0.0.1", "-p", str(self.port), *arguments]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, env=env, stdout=out, stderr=out, cwd="/", start_new_session=True
            )

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log.read_text().splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def event(self, name: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for a log event."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.lines():
                if line["event"] == name:
                    return line
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(f"no {name} in {self.log.read_text()}")

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        fields = {"Host": "test", "Connection": "close"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *told = head.decode().split("\r\n")
        named = dict(field.lower().split(": ", 1) for field in told)
        return int(status.split()[1]), named, body

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(15)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def run(tmp_path: Path, manage_py: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(
        *arguments: str,
        env: dict[str, str],
        through: Sequence[str] = (),
        program: Path = manage_py,
    ) -> Server:
        log = tmp_path / f"log{len(servers)}"
        servers.append(Server(program, log, *arguments, env=env, through=through))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@contextmanager
def standin_process(*arguments: str) -> Iterator[str]:
    """A stand-in in a process of its own; its address."""
    port = free_port()
    command = [sys.executable, "-m", "server.spotify.standin", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def spotify() -> Iterator[str]:
    with standin_process() as address:
        yield address


def standin_settings(address: str) -> dict[str, str]:
    return {"SPOTIFY_API_URL": f"{address}/v1", "SPOTIFY_ACCOUNTS_URL": address}
