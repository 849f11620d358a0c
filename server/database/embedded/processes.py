"""PostgreSQL's processes: which of them serve a folder, and how they are ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FAST_SECONDS = 3.0  # time for PostgreSQL's fast shutdown
HARD_SECONDS = 1.0  # time for its immediate shutdown, after which the next start recovers


@dataclass(frozen=True)
class PostmasterFile:
    """The content of `postmaster.pid`: see PostgreSQL's src/include/utils/pidfile.h."""

    pid: int
    port: int
    socket_folder: str
    status: str

    @property
    def socket(self) -> Path:
        """The socket file that clients connect to."""
        return Path(self.socket_folder) / f".s.PGSQL.{self.port}"

    @classmethod
    def read(cls, folder: Path) -> "PostmasterFile | None":
        """Read the file in the data folder; return None if it is missing or incomplete."""
        try:
            text = (folder / "postmaster.pid").read_text("utf-8", "surrogateescape")
            lines = text.split("\n")
            return cls(int(lines[0]), int(lines[3]), lines[4], lines[7].strip())
        except (OSError, IndexError, ValueError):
            return None


def serves(pid: int, folder: Path) -> bool:
    """Return whether `pid` is a PostgreSQL server running in `folder`, not another program.

    Checks the command line, which every user may read; /proc's `exe` and `cwd` are closed even to
    root where it has no CAP_SYS_PTRACE, as in a container.
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
    """Return whether `pid` is a process that a server in `folder` has started (Linux only)."""
    if not _command_line(pid).startswith(b"postgres: "):
        return False
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


def end(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Stop our child process: by fast shutdown, then immediate shutdown, then SIGKILL."""
    patience = ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, HARD_SECONDS))
    for sign, seconds in patience:
        for each in (sign, signal.SIGCONT):  # a stopped process handles the signal once continued
            server.send_signal(each)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return
    server.kill()
    server.wait()
    _end_orphans(folder)


def end_leftovers(folder: Path) -> None:
    """End the servers of `folder` whose owner has ended, by fast shutdown first.

    Processes are identified by their command line, so another program that has the pid of a dead
    server is never touched.
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
