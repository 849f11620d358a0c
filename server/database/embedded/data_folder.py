"""The data folder: made whole or not at all, and never taken for what it is not."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from server.database.embedded.identity import give_to
from server.database.embedded.programs import binaries, binaries_version, cause, fix_of, run
from server.errors import EmbeddedPostgresError


def make(folder: Path, identity: str) -> None:
    """Run `initdb` beside the folder and rename, so that a half-made one is never used.

    Raises EmbeddedPostgresError, and then leaves nothing behind.
    """
    if {"\n", "\r"} & set(str(folder)):
        raise EmbeddedPostgresError(
            f"the path {str(folder)!r} has a line break, which PostgreSQL's programs refuse",
            "name another folder: DATABASE_URL=embedded:/DIR",
        )
    _remove_half_made(folder)
    version = folder / "PG_VERSION"
    if version.exists():
        _check_version(folder, version.read_text("ascii", "replace").strip())
        return
    if folder.exists() and any(folder.iterdir()):
        raise EmbeddedPostgresError(
            f"{folder} is neither empty nor a PostgreSQL data folder",
            "name another folder: DATABASE_URL=embedded:/DIR",
        )
    fresh = folder  # if it is mounted it cannot be replaced; initdb cleans up there
    if not folder.is_mount():  # a new name, for a dying initdb may be clearing the old
        fresh = Path(tempfile.mkdtemp(prefix=_fresh_prefix(folder), dir=folder.parent))
    give_to(identity, fresh)
    command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", "freshet", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8"]
    result = run(identity, command)
    if result.returncode != 0:
        _remove_half_made(folder)
        reason = cause(result.stdout)
        raise EmbeddedPostgresError(
            f"no database can be made in {folder.parent}: {reason}", fix_of(reason)
        )
    if fresh != folder:
        fresh.rename(folder)


def _remove_half_made(folder: Path) -> None:
    with suppress(OSError):  # a folder that we may not list is no obstacle
        for left in folder.parent.iterdir():
            if left.name.startswith(_fresh_prefix(folder)):
                shutil.rmtree(left, ignore_errors=True)


def _check_version(folder: Path, found: str) -> None:
    if found != (ours := binaries_version()):
        raise EmbeddedPostgresError(
            f"{folder} was made by PostgreSQL {found}, this is {ours}",
            "dump it with the old version and restore it with the new one, or name another folder",
        )


def _fresh_prefix(folder: Path) -> str:
    return f".{folder.name}.initdb-"
