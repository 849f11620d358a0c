"""The data folder: created completely or not at all, and never confused with another folder."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from server.database.embedded.identity import chown_to
from server.database.embedded.programs import binaries, binaries_version, cause, fix_of, run
from server.errors import EmbeddedPostgresError


def make(folder: Path, identity: str) -> None:
    """Create the data folder with `initdb` under another name, and rename it when complete.

    Raises EmbeddedPostgresError, and then leaves nothing behind.
    """
    if {"\n", "\r"} & set(str(folder)):
        raise EmbeddedPostgresError(
            f"the path {str(folder)!r} has a line break, which PostgreSQL's programs refuse",
            "use another folder: DATABASE_URL=embedded:/DIR",
        )
    _remove_half_made(folder)
    version = folder / "PG_VERSION"
    if version.exists():
        _check_version(folder, version.read_text("ascii", "replace").strip())
        return
    if folder.exists() and any(folder.iterdir()):
        raise EmbeddedPostgresError(
            f"{folder} is neither empty nor a PostgreSQL data folder",
            "use another folder: DATABASE_URL=embedded:/DIR",
        )
    fresh = folder  # a mount point cannot be replaced; initdb cleans up there
    if not folder.is_mount():  # a new name: an initdb that is ending may be clearing the old one
        fresh = Path(tempfile.mkdtemp(prefix=_fresh_prefix(folder), dir=folder.parent))
    chown_to(identity, fresh)
    command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", "freshet", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8"]
    result = run(identity, command)
    if result.returncode != 0:
        _remove_half_made(folder)
        reason = cause(result.stdout)
        raise EmbeddedPostgresError(
            f"no database can be created in {folder.parent}: {reason}", fix_of(reason)
        )
    if fresh != folder:
        fresh.rename(folder)


def _remove_half_made(folder: Path) -> None:
    with suppress(OSError):  # a folder that cannot be listed does no harm
        for left in folder.parent.iterdir():
            if left.name.startswith(_fresh_prefix(folder)):
                shutil.rmtree(left, ignore_errors=True)


def _check_version(folder: Path, found: str) -> None:
    if found != (ours := binaries_version()):
        raise EmbeddedPostgresError(
            f"{folder} was created by PostgreSQL {found}, this is {ours}",
            "dump it with the old version and restore it with the new one, or use another folder",
        )


def _fresh_prefix(folder: Path) -> str:
    return f".{folder.name}.initdb-"
