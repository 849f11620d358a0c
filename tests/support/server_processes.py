"""The program in processes of its own, on a copy of the tree."""

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import orjson
import pytest
from sqlalchemy import URL

from tests.support.databases import CopyCluster
from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.settings import SECRET
from tests.support.waiting import pauses

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
    """Copy the program, so that a developer's `.env` and data have no effect.

    What Python has compiled is copied along, which saves compiling it again for each worker.
    """
    tree = tmp_path_factory.mktemp("freshet")
    for name in ("server", "handlers", "models", "alembic"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("manage.py", "setup.cfg"):
        shutil.copy(ROOT / name, tree)
    return tree / "manage.py"


@pytest.fixture(scope="session")
def fork_server(manage_py: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Start the process that others are forked from."""
    fork_server = ForkServer(manage_py.parent, tmp_path_factory.mktemp("fork_server"))
    yield fork_server
    fork_server.close()


@pytest.fixture
def manage(fork_server: ForkServer, manage_py: Path, tmp_path: Path) -> Manage:
    """Return a function that runs a command to its end, in a fresh interpreter if asked."""
    numbers = count()

    def run(
        *arguments: str, env: dict[str, str], fresh: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error", str(manage_py), *arguments]
        if fresh:
            return subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=60, cwd="/", check=False
            )
        number = next(numbers)
        out, errors = tmp_path / f"manage{number}.out", tmp_path / f"manage{number}.err"
        code = fork_server.start(str(manage_py), arguments, env, out, errors).wait(60)
        return subprocess.CompletedProcess(command, code, out.read_text(), errors.read_text())

    return run


@pytest.fixture
def demo_env(copy_cluster: CopyCluster, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a demo whose database is made, and empty."""
    state = tmp_path / "state"
    copy_cluster(state / "demo" / "postgres")
    return NOTHING | {"STATE_DIRECTORY": str(state)}


class Server:
    """A running `manage.py run`, its log lines, and a way to ask it.

    It is forked from `fork_server`; without one it is a fresh interpreter. `through` is a command
    that becomes the one that is given to it, which takes a fresh interpreter.
    """

    def __init__(
        self,
        manage_py: Path,
        log: Path,
        *arguments: str,
        env: dict[str, str],
        fork_server: ForkServer | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.log = log
        words = ["run", "-h", "127.0.0.1", "-p", str(self.port), *arguments]
        log.touch()
        self.process: ForkedProcess | subprocess.Popen[bytes]
        if fork_server is not None and not through:
            self.process = fork_server.start(str(manage_py), words, env, log)
            return
        command = [*through, sys.executable, "-W", "error", str(manage_py), *words]
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
        pause = pauses(0.05)
        while time.monotonic() < deadline:
            for line in self.lines():
                if line["event"] == name:
                    return line
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(next(pause))
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


@pytest.fixture
def run(
    tmp_path: Path, manage_py: Path, fork_server: ForkServer
) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server, in a fresh interpreter if asked."""
    servers: list[Server] = []
    numbers = count()

    def start(
        *arguments: str,
        env: dict[str, str],
        through: Sequence[str] = (),
        program: Path = manage_py,
        fresh: bool = False,
        parent: ForkServer | None = None,
    ) -> Server:
        log = tmp_path / f"log{next(numbers)}"
        source = parent or (None if fresh or program != manage_py else fork_server)
        program = parent.tree / "manage.py" if parent else program
        made = Server(program, log, *arguments, env=env, fork_server=source, through=through)
        servers.append(made)
        return made

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@contextmanager
def standin_process(*arguments: str, fork_server: ForkServer | None = None) -> Iterator[str]:
    """Run a stand-in in a process of its own; yields its address.

    Without `fork_server` the process is a fresh interpreter.
    """
    port, module = free_port(), "server.standin"
    words = ["--port", str(port), *arguments]
    process: ForkedProcess | subprocess.Popen[bytes]
    if fork_server is not None:
        process = fork_server.start(module, words, NOTHING)
    else:
        command = [sys.executable, "-m", module, *words]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not is_open(port):
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def spotify(fork_server: ForkServer) -> Iterator[str]:
    with standin_process(fork_server=fork_server) as address:
        yield address


def standin_settings(address: str) -> dict[str, str]:
    return {"SPOTIFY_API_URL": f"{address}/v1", "SPOTIFY_ACCOUNTS_URL": address}


class Stay(HTTPRedirectHandler):
    """A redirect handler that does not follow redirects."""

    def http_error_303(self, _request: object, response: object, *_: object) -> object:
        return response


def agree(consent_url: str, answer: str = "agree") -> str:
    """Agree on the consent page; returns the address of the redirect."""
    form = Request(consent_url, urlencode({"answer": answer}).encode())
    response = build_opener(Stay).open(form)
    return str(response.headers["Location"])
