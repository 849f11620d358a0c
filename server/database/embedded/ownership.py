"""Which process owns the server of a data folder: the one that holds the lock file beside it."""

import os
from pathlib import Path
from typing import IO

from server.config import private_files
from server.errors import EmbeddedPostgresError

NAME_FOLDER = "DATABASE_URL=embedded:/DIR"


class Ownership:
    """This process's claim to the data folder; the kernel releases it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = Path(f"{folder}.lock")
        self._lock: IO[str] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process owns the folder."""
        return self._lock is not None

    def acquire(self) -> bool:
        """Take ownership unless another process has it; return whether it is ours.

        Raises EmbeddedPostgresError if the folder belongs to another user, OSError if the lock file
        cannot be used.
        """
        if self._lock is None:
            private_files.make_folder(self._folder.parent)
            lock = private_files.open_lock(self._path, self._users())
            if private_files.try_lock(lock):
                self._lock = lock
            else:
                lock.close()
        return self.is_ours

    def release(self) -> None:
        """Give up ownership, if it is ours."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check_lock_holder(self) -> None:
        """Raise EmbeddedPostgresError if the lock is held by a user who cannot run this server."""
        holder = private_files.holder(self._path)
        if holder is not None and holder.uid not in self._users():
            raise self.lock_error("that user cannot run this database")

    def lock_error(self, but: str) -> EmbeddedPostgresError:
        """Return the error that names the process holding the lock, and what is wrong with it."""
        holder = private_files.holder(self._path)
        if holder is None:
            return EmbeddedPostgresError(f"another process holds {self._path}, but {but}")
        return EmbeddedPostgresError(
            f"{self._path} is locked by {holder}; {but}", f"end that process: kill {holder.pid}"
        )

    def _users(self) -> frozenset[int]:
        """Return the uids that may run a server in the folder: its owner, ours and root.

        Raises EmbeddedPostgresError if it belongs to another user than ours.
        """
        us = os.geteuid()
        owner = self._folder.stat().st_uid if self._folder.exists() else us
        if owner != us and us != 0:
            raise EmbeddedPostgresError(
                f"{self._folder} belongs to the user {private_files.account(owner)}",
                f"run Freshet as that user, or use another folder: {NAME_FOLDER}",
            )
        return frozenset({owner, us, 0})
