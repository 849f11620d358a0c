"""The folder of the server's socket: the data folder, or a short one if its path is too long."""

import os
from contextlib import suppress
from pathlib import Path

from server.config import runtime_folder
from server.database.embedded.identity import chown_to
from server.errors import EmbeddedPostgresError

MAX_SOCKET_PATH = 107  # bytes, sun_path of <sys/un.h> without its final NUL
SHORT_PREFIX = "freshet-"


def choose(folder: Path, identity: str) -> Path:
    """Return the data folder, or a short temporary one if that cannot be a socket's address.

    Raises EmbeddedPostgresError if every place for temporary files is too long as well.
    """
    if _suits(folder):
        return folder
    try:
        short = runtime_folder.make(SHORT_PREFIX, _suits)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"the path of {folder} is too long for a socket ({MAX_SOCKET_PATH} bytes), and so is "
            f"every folder for temporary files, or it cannot be used ({error})",
            "use a shorter one: DATABASE_URL=embedded:/DIR",
        ) from error
    chown_to(identity, short)
    (folder / "socket-folder").write_text(str(short), encoding="utf-8")
    return short


def _suits(folder: Path) -> bool:
    """Return whether a socket in `folder` has an address that both the server and libpq accept."""
    address = str(folder / ".s.PGSQL.5432")
    in_bytes = os.fsencode(address)
    # A comma separates addresses, spaces at their ends are stripped, and libpq's are UTF-8.
    plain = "," not in address and str(folder) == str(folder).strip()
    return plain and address.encode("utf-8", "replace") == in_bytes[:MAX_SOCKET_PATH]


def remove(folder: Path) -> None:
    """Remove the short folder of an earlier start, if there is one."""
    note = folder / "socket-folder"
    if not note.exists():
        return
    short = Path(note.read_text("utf-8", "replace"))
    if short.name.startswith(SHORT_PREFIX):
        for file in short.glob(".s.PGSQL.*"):
            file.unlink()
        with suppress(OSError):  # gone already
            short.rmdir()
    note.unlink()
