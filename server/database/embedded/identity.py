"""The user that PostgreSQL runs as, because it refuses to run as root."""

import contextlib
import os
import pwd
import sys
from pathlib import Path

from server.database.embedded.programs import binaries, run
from server.errors import EmbeddedPostgresError


def identity(folder: Path) -> str:
    """Return how PostgreSQL programs must run for `folder` (the launcher's IDENTITY).

    PostgreSQL refuses root. Where the kernel allows it, root is mapped to another id in a user
    namespace, which needs no account and no chown; elsewhere the `nobody` account runs it. Either
    must be able to reach the data and the programs. An ordinary user stays as it is, unless it has
    no name (as under `docker run --user 1234`), which initdb refuses. Raises EmbeddedPostgresError
    if no identity works.
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
        "as the ordinary user who owns them, use another folder, or set DATABASE_URL"
    )


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _account() -> int:
    """Return the uid of `nobody`, or of another account: initdb needs one with a name."""
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("nobody").pw_uid
    others = [entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not others:
        raise EmbeddedPostgresError("PostgreSQL does not run as root and there is no other account")
    return others[0]


def _can_reach(how: str, folder: Path) -> bool:
    """Return whether a program under identity `how` can run and enter the folders it needs."""
    if how.startswith("map:") and sys.platform != "linux":
        return False
    if not (folder / "PG_VERSION").exists():  # the folder will be created
        folder = next(parent for parent in folder.parents if parent.exists())
    test = ["/bin/sh", "-c", 'cd "$0" && cd "$1"', str(folder), str(binaries())]
    return run(how, test).returncode == 0


def chown_to(how: str, folder: Path) -> None:
    """Give an empty `folder` to the account that will use it."""
    if how.startswith("switch:"):
        os.chown(folder, int(how.removeprefix("switch:")), -1)
