"""The server of one data folder: who owns it, how it starts, and how it stops."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from server.config import libpq, runtime_folder
from server.database.embedded import data_folder, processes, socket_folder
from server.database.embedded import identity as identities
from server.database.embedded.ownership import NAME_FOLDER, Ownership
from server.database.embedded.processes import PostmasterFile
from server.database.embedded.programs import binaries, cause, fix_of, spawn
from server.errors import EmbeddedPostgresError

START_SECONDS = 60.0
LOG = "server.log"  # in the data folder: the server's output since its last start
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}


class EmbeddedPostgres:
    """The server whose data is in `folder`; `settings` are further PostgreSQL parameters.

    `start()` may be called at any time: it does nothing while the server runs, and restarts it
    otherwise. `stop()` also ends a `start()` in another thread. All failures raise
    EmbeddedPostgresError.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._ownership = Ownership(self.folder)
        self._settings = {**SETTINGS, **(settings or {})}
        self._server: subprocess.Popen[bytes] | None = None
        self._held: int | None = None
        self._busy = threading.Lock()
        self._stopping = threading.Event()

    @property
    def owned(self) -> bool:
        """Whether this process started the server and will stop it."""
        return self._ownership.is_ours

    @property
    def url(self) -> URL:
        """The address of the running server's `freshet` database."""
        running = PostmasterFile.read(self.folder)
        if running is None:
            raise EmbeddedPostgresError(f"no PostgreSQL is running in {self.folder}")
        return URL.create(
            libpq.DRIVER,
            username="freshet",
            database="freshet",
            query={"host": running.socket_folder, "port": str(running.port)},
        )

    def start(self) -> bool:
        """Start the server, or connect to the running one; create the data folder if necessary.

        Returns whether this call started the server.
        """
        deadline = time.monotonic() + START_SECONDS
        with self._busy, _translated_errors(self.folder):
            for _ in self._until(deadline):
                if self._server is not None and self._server.poll() is None:
                    if self._can_be_reached():
                        return False
                    processes.end(self._server, self.folder)
                if self._ownership.acquire():
                    self._start_as_owner(deadline)
                    return True
                if self._other_server_is_ready():
                    return False
                self._ownership.check_lock_holder()
        raise self._ownership.lock_error(
            f"its PostgreSQL was not ready within {START_SECONDS:.0f} s"
        )

    def stop(self) -> None:
        """Stop the server if it is ours (PostgreSQL's fast shutdown), and give up the folder."""
        self._stopping.set()
        with self._busy, _translated_errors(self.folder):
            self._stopping.clear()
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            if self._server is not None:
                processes.end(self._server, self.folder)
                self._server = None
            if self.owned:
                self._hold(None)
                socket_folder.remove(self.folder)
        finally:
            self._ownership.release()

    def _can_be_reached(self) -> bool:
        """Return whether the socket exists; PostgreSQL creates it only when it starts.

        Programs that clean up temporary files may have removed it.
        """
        running = PostmasterFile.read(self.folder)
        return running is None or running.socket.exists()

    def _other_server_is_ready(self) -> bool:
        running = PostmasterFile.read(self.folder)
        if running is None or running.status != "ready":
            return False
        return processes.serves(running.pid, self.folder)

    def _start_as_owner(self, deadline: float) -> None:
        try:
            identity = identities.identity(self.folder)
            data_folder.make(self.folder, identity)
            self._clear_after_crash()
            self._launch(identity, deadline)
        except BaseException:
            self._shut_down()
            raise

    def _clear_after_crash(self) -> None:
        """End a server that outlived its owner, and remove its lock files.

        Their process ids may by now belong to other programs, and PostgreSQL would not start.
        """
        if (self.folder / "postmaster.pid").exists():
            processes.end_leftovers(self.folder)
        socket_folder.remove(self.folder)
        for leftover in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)

    def _launch(self, identity: str, deadline: float) -> None:
        sockets = socket_folder.choose(self.folder, identity)
        self._hold(sockets)
        settings = {**self._settings, "unix_socket_directories": str(sockets)}
        command = [str(binaries() / "postgres"), "-D", str(self.folder)]
        command += [word for name in settings for word in ("-c", f"{name}={settings[name]}")]
        for _ in self._until(deadline):
            with (self.folder / LOG).open("wb") as log:
                self._server = spawn(identity, command, log)
            if self._wait_until_ready(deadline):
                return
        raise self._not_started(f"in {START_SECONDS:.0f} s")

    def _hold(self, sockets: Path | None) -> None:
        """Keep programs that clean up temporary files away from the folder of the socket."""
        if self._held is not None:
            os.close(self._held)
        self._held = None if sockets is None else runtime_folder.hold(sockets)

    def _wait_until_ready(self, deadline: float) -> bool:
        """Return True once ready; False if a crashed server's backends still use the data."""
        assert self._server is not None
        for _ in self._until(deadline):
            running = PostmasterFile.read(self.folder)
            if running and running.pid == self._server.pid and running.status == "ready":
                return True
            if self._server.poll() is not None:
                if "still in use" in self._log():
                    return False
                raise self._not_started(f"in {self.folder}")
        return False

    def _not_started(self, where: str) -> EmbeddedPostgresError:
        reason = cause(self._log())
        return EmbeddedPostgresError(f"PostgreSQL did not start {where}: {reason}", fix_of(reason))

    def _log(self) -> str:
        return (self.folder / LOG).read_text("utf-8", "replace")

    def _until(self, deadline: float) -> Iterator[None]:
        """Yield at once and then every 10 ms until `deadline` (time.monotonic seconds).

        Raises EmbeddedPostgresError if `stop` is called meanwhile.
        """
        yield
        while time.monotonic() < deadline:
            if self._stopping.wait(0.01):
                raise EmbeddedPostgresError(f"the server in {self.folder} was stopped meanwhile")
            yield


@contextmanager
def _translated_errors(folder: Path) -> Iterator[None]:
    """Turn errors of files and programs into EmbeddedPostgresError."""
    try:
        yield
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(f"{folder} cannot be used: {error}", _fix(error)) from error


def _fix(error: Exception) -> str | None:
    if isinstance(error, PermissionError):
        return f"use a folder that the user {os.geteuid()} may write to: {NAME_FOLDER}"
    return fix_of(str(error))
