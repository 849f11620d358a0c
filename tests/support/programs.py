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

from tests.support.nursery import Born, Nursery
from tests.support.paths import ROOT
from tests.support.ports import free_port, is_open
from tests.support.settings_files import SECRET

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


@pytest.fixture(scope="session")
def nursery(manage_py: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where processes come from that need not be fresh interpreters."""
    nursery = Nursery(manage_py.parent, tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()


@pytest.fixture
def manage(nursery: Nursery, manage_py: Path, tmp_path: Path) -> Manage:
    """Run a command to its end, in a fresh interpreter if that is what is to be proved."""
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
        code = nursery.start(str(manage_py), arguments, env, out, errors).wait(60)
        return subprocess.CompletedProcess(command, code, out.read_text(), errors.read_text())

    return run


class Server:
    """A running `manage.py run`, its log lines, and a way to ask it.

    It comes from the nursery; without one it is a fresh interpreter. `through` is a command that
    becomes the one that is given to it, which takes a fresh one.
    """

    def __init__(
        self,
        manage_py: Path,
        log: Path,
        *arguments: str,
        env: dict[str, str],
        nursery: Nursery | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.log = log
        words = ["run", "-h", "127.0.0.1", "-p", str(self.port), *arguments]
        log.touch()
        self.process: Born | subprocess.Popen[bytes]
        if nursery is not None and not through:
            self.process = nursery.start(str(manage_py), words, env, log)
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


@pytest.fixture
def run(tmp_path: Path, manage_py: Path, nursery: Nursery) -> Iterator[Callable[..., Server]]:
    """Start a server, in a fresh interpreter if that is what is to be proved."""
    servers: list[Server] = []
    numbers = count()

    def start(
        *arguments: str,
        env: dict[str, str],
        through: Sequence[str] = (),
        program: Path = manage_py,
        fresh: bool = False,
    ) -> Server:
        log = tmp_path / f"log{next(numbers)}"
        source = None if fresh or program != manage_py else nursery
        made = Server(program, log, *arguments, env=env, nursery=source, through=through)
        servers.append(made)
        return made

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@contextmanager
def standin_process(*arguments: str, nursery: Nursery | None = None) -> Iterator[str]:
    """A stand-in in a process of its own, a fresh interpreter without a nursery; its address."""
    port, module = free_port(), "server.standin"
    words = ["--port", str(port), *arguments]
    process: Born | subprocess.Popen[bytes]
    if nursery is not None:
        process = nursery.start(module, words, NOTHING)
    else:
        command = [sys.executable, "-m", module, *words]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not is_open(port):
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def spotify(nursery: Nursery) -> Iterator[str]:
    with standin_process(nursery=nursery) as address:
        yield address


def standin_settings(address: str) -> dict[str, str]:
    return {"SPOTIFY_API_URL": f"{address}/v1", "SPOTIFY_ACCOUNTS_URL": address}


class Stay(HTTPRedirectHandler):
    """A browser that shows where it is sent and does not get there."""

    def http_error_303(self, _request: object, response: object, *_: object) -> object:
        return response


def agree(consent_url: str, answer: str = "agree") -> str:
    """Answer on the consent page; the address at which the browser ends."""
    form = Request(consent_url, urlencode({"answer": answer}).encode())
    response = build_opener(Stay).open(form)
    return str(response.headers["Location"])
