"""Folders for files that a process needs for as long as it runs, such as sockets.

They are best kept where no cleaner of temporary files looks. Elsewhere a lock keeps systemd's from
removing what is in them (systemd-tmpfiles(8)); whoever uses one copes with its loss all the same.
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
    """Where such a folder may be, best first: no cleaner looks into systemd's RuntimeDirectory."""
    named = [each for each in os.environ.get("RUNTIME_DIRECTORY", "").split(":") if each]
    found = [*named, tempfile.gettempdir(), *FALLBACKS]
    return [Path(each) for each in dict.fromkeys(found)]


def make(prefix: str, suits: Callable[[Path], bool] = lambda _: True) -> Path:
    """Make a folder of our own that `suits`. Raises OSError if that is possible nowhere."""
    refused: OSError | None = None
    for place in places():
        if not suits(place / f"{prefix}12345678"):  # mkdtemp's names are that long
            continue
        try:
            return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        except OSError as error:
            refused = refused or error
    raise refused or FileNotFoundError("no folder for temporary files suits")


def remake(folder: Path) -> None:
    """Make a folder again that has been removed. Raises OSError if it is not ours alone by then."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else now")


def hold(folder: Path) -> int:
    """Lock a folder, as cleaners respect it, until the descriptor that is returned is closed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # not every file system has locks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor
