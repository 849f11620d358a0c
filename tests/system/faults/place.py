"""What faults of real processes share: a PostgreSQL to kill, and a reader."""

import base64
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import orjson
from sqlalchemy import URL

from server.database.embedded import EmbeddedPostgres
from server.database.embedded.processes import PostmasterFile
from tests.support.cursors import connected
from tests.support.process_tree import descendants, is_alive
from tests.support.server_processes import Server
from tests.support.waiting import wait_until

OFTEN = {"SYNC_INTERVAL": "5", "QUOTA_PER_DAY": "1000000"}
ARTISTS = "/api/artists/"
NEWEST = 60  # releases at the top of a list, which no release that comes meanwhile pushes out of it


class Frail:
    """A PostgreSQL of the test's own, in `folder`, which nobody looks after but the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedPostgres(folder)
        self._server.start()

    @property
    def url(self) -> URL:
        return self._server.url

    def kill(self) -> None:
        """The postmaster and all that it has started, at once."""
        murder(postmaster(self._folder))

    def revive(self) -> None:
        self._server.start()

    def freeze(self) -> None:
        for pid in descendants(postmaster(self._folder)):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in descendants(postmaster(self._folder)):
            os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        self._server.stop()


def postmaster(folder: Path) -> int:
    running = PostmasterFile.read(folder)
    assert running is not None
    return running.pid


def embedded(folder: Path) -> URL:
    """The address of the server in `folder` as it is now; a new start may have a new one.

    Its socket is in `folder`, or else where the server says.
    """
    running = PostmasterFile.read(folder)
    assert running is not None
    port = str(running.port)
    near = (folder / f".s.PGSQL.{port}").exists()
    host = str(folder) if near and len(str(folder)) < 80 else running.socket_folder
    query = {"host": host, "port": port}
    return URL.create("postgresql+psycopg2", "freshet", database="freshet", query=query)


def murder(pid: int) -> None:
    """A process and its descendants, which are stopped first so that none is forgotten."""
    os.kill(pid, signal.SIGSTOP)
    everybody = descendants(pid)
    for each in everybody:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, everybody)), 5)


class Meanwhile(threading.Thread):
    """A thread that runs while it is entered, and ends when `_over` is set."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(30)


class Reader(Meanwhile):
    """Reads a path again and again on one connection while it is entered.

    A connection that was closed before a request is made anew. `seconds` are those of the answers
    with 200, `failures` all else and when it was.
    """

    def __init__(self, server: Server, path: str = ARTISTS, pause: float = 0.02) -> None:
        super().__init__()
        self._server, self._path, self._pause = server, path, pause
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        entered = time.monotonic()
        while not self._over.wait(self._pause):
            began = time.monotonic()
            moment = f"{began - entered:.1f} s after the first"
            try:
                connection.request("GET", self._path, headers={"Accept-Encoding": "gzip"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(f"{answer.status} {moment}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{error!r} {moment}")
                connection.close()
            self.seconds.append(time.monotonic() - began)
        connection.close()

    def percentile(self, share: float = 0.99) -> float:
        """Milliseconds."""
        return percentile(self.seconds, share)


def percentile(seconds: list[float], share: float = 0.99) -> float:
    """Milliseconds."""
    return 1000 * sorted(seconds)[int(share * (len(seconds) - 1))]


@contextmanager
def locked(url: URL, table: str) -> Iterator[Callable[[], bool]]:
    """Whoever writes into a table waits; the function tells whether somebody does."""
    with connected(url) as cursor, connected(url) as looking:
        cursor.execute(f"BEGIN; LOCK TABLE {table} IN SHARE MODE")

        def somebody_waits() -> bool:
            looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(looking.fetchone()[0])

        yield somebody_waits


def overlaps(url: URL) -> int:
    """How many syncs began before the one before them had ended."""
    with connected(url) as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT started_at < lag(finished_at) OVER (ORDER BY id) AS early"
            " FROM sync_runs WHERE outcome <> 'failed') AS runs WHERE early"
        )
        return int(cursor.fetchone()[0])


def listed(spotify: str) -> set[str]:
    """The newest releases that the stand-in lists at this moment."""
    host = spotify.removeprefix("http://")
    basic = base64.b64encode(b"standin-client:standin-secret").decode()
    form = {
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("POST", "/api/token", "grant_type=client_credentials", form)
        token = orjson.loads(connection.getresponse().read())["access_token"]
        ids: set[str] = set()
        for offset in range(0, NEWEST, 10):
            path = f"/v1/search?q=tag:new&type=album&limit=10&offset={offset}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            items = orjson.loads(connection.getresponse().read())["albums"]["items"]
            ids |= {item["id"] for item in items if item}
        return ids
    finally:
        connection.close()


def syncs(server: Server) -> int:
    """How many complete ones it has told of."""
    return sum(line["outcome"] == "complete" for line in server.events("sync_finished"))


def next_sync(server: Server, seconds: float = 20) -> float:
    """Wait for the end of one that begins from now on; how many seconds it took."""
    known = syncs(server)
    waited = wait_until(lambda: syncs(server) > known, seconds, "no complete sync")
    [*_, last] = server.events("sync_finished")
    if last["duration_ms"] / 1000 > waited:  # it had begun before
        return waited + wait_until(lambda: syncs(server) > known + 1, seconds, "no complete sync")
    return waited


def serves(server: Server, path: str = ARTISTS) -> bool:
    """Whether it has something to serve."""
    try:
        status, _, body = server.get(path)
    except OSError:
        return False
    return status == 200 and orjson.loads(body)["total"] > 0
