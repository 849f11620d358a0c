"""The other servers: how each is started, and what it needs."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.config.addresses import ROOT
from tests.bench.http import nginx, tools
from tests.bench.http.cores import Cores
from tests.bench.http.process import await_answer, stop
from tests.bench.http.sample import Sample, check
from tests.support.ports import free_port

APPS = "tests.bench.http.apps"
Command = Callable[[int], list[str]]


@dataclass(frozen=True)
class Rival:
    """`needs` are packages, or the program nginx; `about` is what the row of the table is."""

    name: str
    about: str
    needs: tuple[str, ...]
    command: Command


def _uvicorn(app: str) -> Command:
    options = "--loop uvloop --http httptools --no-access-log --log-level warning --lifespan off"
    options += " --ws none --workers 1 --backlog 1024 --timeout-keep-alive 3600"
    return lambda port: [
        *(str(tools.python()), "-m", "uvicorn", f"{APPS}.{app}:app"),
        *("--host", "127.0.0.1", "--port", str(port), *options.split()),
    ]


def _granian(interface: str) -> Command:
    options = "--http 1 --workers 1 --loop uvloop --runtime-mode st --no-ws --no-access-log"
    options += " --log-level warning --backlog 1024"
    return lambda port: [
        *(str(tools.python()), "-m", "granian", "--interface", interface, "--host", "127.0.0.1"),
        *("--port", str(port), *options.split(), f"{APPS}.for_granian:{interface}"),
    ]


def _script(python: str, app: str) -> Command:
    return lambda port: [python, "-m", f"{APPS}.{app}", str(port)]


ON_UVICORN = ("uvicorn", "uvloop", "httptools")
RIVALS = (
    Rival(
        "Tornado, bare handler",
        "A RequestHandler that sets the same headers and writes the constant body, on uvloop; its "
        "ETag is not hashed.",
        (),
        _script(sys.executable, "bare_tornado"),
    ),
    Rival(
        "FastAPI",
        "On uvicorn with uvloop and httptools; one Response, made once.",
        ("fastapi", *ON_UVICORN),
        _uvicorn("with_fastapi"),
    ),
    Rival(
        "Starlette",
        "On uvicorn with uvloop and httptools; one Response, made once.",
        ("starlette", *ON_UVICORN),
        _uvicorn("with_starlette"),
    ),
    Rival(
        "aiohttp",
        "Its own server with its C parser, on uvloop; one Response per request, as it requires.",
        ("aiohttp", "uvloop"),
        _script(str(tools.python()), "with_aiohttp"),
    ),
    Rival(
        "Granian, RSGI",
        "Its Rust server calling a bare function by RSGI, no framework; one worker and thread.",
        ("granian", "uvloop"),
        _granian("rsgi"),
    ),
    Rival(
        "Granian, ASGI",
        "The same by ASGI.",
        ("granian", "uvloop"),
        _granian("asgi"),
    ),
)
NGINX = Rival(
    "nginx, from disk",
    "One worker sending files with sendfile, with its cache of open files, no log.",
    ("nginx",),
    lambda port: [],
)


class Running:
    """A rival that answers just what Freshet answers. Raises RuntimeError if it does not."""

    def __init__(
        self, cores: Cores, rival: Rival, samples: dict[str, Sample], folder: Path
    ) -> None:
        self.port = free_port()
        command = rival.command(self.port)
        if rival is NGINX:
            file = nginx.configure(samples, folder, self.port)
            command = [tools.program("nginx"), "-c", str(file), "-e", "stderr"]
        self.process: Any = cores.start(
            command,
            cores.server,
            cwd=ROOT,
            env={**os.environ, "BENCH_FOLDER": str(folder)},
            stdout=subprocess.DEVNULL,
        )
        try:
            await_answer(self.process, self.port, f"/{next(iter(samples))}")
            check(samples, self.port)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        stop(self.process)


def missing(rival: Rival, packages: dict[str, str]) -> list[str]:
    """What a rival needs and does not have here."""
    if rival is NGINX:
        return [] if tools.version("nginx") else ["nginx"]
    return [name for name in rival.needs if name not in packages]
