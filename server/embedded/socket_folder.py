"""The folder of the server's socket: the data folder where an address is long enough for it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from server.embedded.identity import give_to

MAX_SOCKET_PATH = 107  # bytes, sun_path of <sys/un.h> without its end
SHORT_PREFIX = "freshet-"


def choose(folder: Path, identity: str) -> Path:
    """The data folder, or a short temporary one if that cannot be a socket's address."""
    address = str(folder / ".s.PGSQL.5432")
    in_bytes = os.fsencode(address)
    # A comma parts addresses, their ends are stripped, and libpq's are UTF-8.
    plain = "," not in address and str(folder) == str(folder).strip()
    if plain and address.encode("utf-8", "replace") == in_bytes[:MAX_SOCKET_PATH]:
        return folder
    short = Path(tempfile.mkdtemp(prefix=SHORT_PREFIX))
    give_to(identity, short)
    (folder / "socket-folder").write_text(str(short), encoding="utf-8")
    return short


def remove(folder: Path) -> None:
    """Remove the short folder of an earlier start; nothing that is not ours."""
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
