"""Who PostgreSQL runs as, since it refuses to be root."""

import contextlib
import os
import pwd
import sys
from pathlib import Path

from server.database.embedded.programs import binaries, run
from server.errors import EmbeddedPostgresError


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
