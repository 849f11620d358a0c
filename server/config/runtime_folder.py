"""Folders for files that a process needs while it runs, such as sockets.

The best place is one that is never cleaned of old temporary files. Elsewhere a lock keeps
systemd-tmpfiles(8) from removing them; callers must handle the loss of a folder anyway.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

FALLBACKS = ("/tmp", "/var/tmp")  # noqa: S108 - folders in them are made by mkdtemp


def places() -> list[Path]:
    """Return the possible parents, best first: RuntimeDirectory of systemd is never cleaned."""
    named = [each for each in os.environ.get("RUNTIME_DIRECTORY", "").split(":") if each]
    found = [*named, tempfile.gettempdir(), *FALLBACKS]
    return [Path(each) for each in dict.fromkeys(found)]


def make(prefix: str, suits: Callable[[Path], bool] = lambda _: True) -> Path:
    """Create a private folder in the first place that `suits`. Raises OSError if none does."""
    refused: OSError | None = None
    for place in places():
        if not suits(place / f"{prefix}12345678"):  # mkdtemp's names are that long
            continue
        try:
            return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        except OSError as error:
            refused = refused or error
    raise refused or FileNotFoundError("no folder for temporary files is suitable")


def remake(folder: Path) -> None:
    """Create a removed folder again. Raises OSError if another user has taken its name."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} now belongs to another user")


def hold(folder: Path) -> int:
    """Lock a folder against cleaners until the returned descriptor is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # not every file system supports locks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor
