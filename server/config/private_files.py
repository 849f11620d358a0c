"""Files and folders that other users of this machine cannot open, replace or lock.

A lock file that other users can open can be locked by them, and would prevent a start: flock(2)
needs no permission to write.
"""

import fcntl
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PRIVATE = 0o600
NO_WRITE = 0o755  # of folders: the account that runs PostgreSQL for root must pass through
LONGEST_COMMAND = 100  # characters of a command line in a message


@dataclass(frozen=True)
class LockHolder:
    """The process that holds a lock: its id, its user and its command line."""

    pid: int
    uid: int
    command: str

    def __str__(self) -> str:
        command = f": {self.command}" if self.command else ""
        return f"process {self.pid} of the user {account(self.uid)}{command}"


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, writable only by their owner. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=NO_WRITE, exist_ok=True)
    folder.mkdir(mode=NO_WRITE, exist_ok=True)  # a file in its place is an error


def open_lock(path: Path, owners: frozenset[int] = frozenset()) -> IO[str]:
    """Open a lock file for reading and appending; create it if needed, closed to other users.

    It must belong to this user, or to one of `owners` (user ids). A file that root creates belongs
    to the owner of its folder, so that a single command run by root does not lock that user out.
    Raises OSError, also for a link and for a file of another user.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        descriptor = os.open(path, flags)
    else:
        if os.geteuid() == 0:
            os.fchown(descriptor, path.parent.stat().st_uid, -1)
    try:
        _close_to_others(descriptor, path, owners | {path.parent.stat().st_uid})
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "a+", encoding="utf-8")


def _close_to_others(descriptor: int, path: Path, owners: frozenset[int]) -> None:
    found, ours = os.fstat(descriptor), os.geteuid()
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise PermissionError(f"{path} is not a file of its own: remove it")
    if found.st_uid != ours and (ours != 0 or found.st_uid not in owners):
        raise PermissionError(f"{path} belongs to the user {account(found.st_uid)}: remove it")
    if found.st_mode & 0o077:
        os.fchmod(descriptor, PRIVATE)


def try_lock(file: IO[str]) -> bool:
    """Take a lock, if it is free, and return whether it was.

    The kernel releases it however the process ends.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(path: Path) -> LockHolder | None:
    """Return the process that holds the lock of a file; None where that is unknown (not Linux).

    If the process that took it has ended, it is one that inherited it. The device is not compared
    if no entry has it, because some file systems report another one to stat(2). Source: proc(5),
    /proc/locks.
    """
    with suppress(OSError, ValueError, IndexError):
        found = path.stat()
        device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
        held = [each for each in _locks() if each[2] == str(found.st_ino)]
        held = [each for each in held if each[1] == device] or held
        pid = int(held[0][0])
        if not _command(pid):
            pid = next(_users_of(found), pid)
        return _process(pid)
    return None


def _users_of(file: os.stat_result) -> Iterator[int]:
    """Yield the ids of processes that have a file open, of those that this user may inspect."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            pid = int(descriptor.parts[2])
            if pid != os.getpid() and os.path.samestat(descriptor.stat(), file):
                yield pid


def _locks() -> Iterator[tuple[str, str, str]]:
    """Yield process id, device and inode of each flock(2) that is held."""
    for line in Path("/proc/locks").read_text("ascii").splitlines():
        fields = line.split()
        if fields[1] == "FLOCK":
            major, minor, inode = fields[5].split(":")
            yield fields[4], f"{major}:{minor}", inode


def _process(pid: int) -> LockHolder:
    """Return a process with its user. Raises OSError if it has ended."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    uid = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2]
    return LockHolder(pid, int(uid), _command(pid))


def _command(pid: int) -> str:
    """Return the command line of a process; "" if it has ended or cannot be inspected."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
    except OSError:
        return ""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown.strip()[:LONGEST_COMMAND]


def account(uid: int) -> str:
    """Return the name of a user, or the id if it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def command_to_close(path: Path) -> str:
    """Return the shell command that makes a file readable only by this user."""
    quoted, us = shlex.quote(str(path)), os.geteuid()
    command = f"chmod {PRIVATE:o} {quoted}"
    return command if path.stat().st_uid == us else f"chown {account(us)} {quoted} && {command}"


def is_open_to_others(path: Path) -> bool:
    """Return whether a file exists and its group or others have any permission."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def is_writable_by_others(folder: Path) -> bool:
    """Return whether other users may replace the files in a folder.

    In a sticky folder only their owner may. Source: inode(7), "sticky bit".
    """
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
