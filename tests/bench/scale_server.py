"""A server with a catalogue: how long it takes to be ready, and to answer."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote

from sqlalchemy import URL
from sqlalchemy.orm import Session

from models import BrowserSession
from server.config.addresses import ROOT
from server.login import key_store
from server.login.attempt import fingerprint
from tests.bench.http.process import cpu_seconds, resident, stop
from tests.bench.scale_data import ACCOUNT
from tests.bench.scale_parts import ZONES
from tests.bench.scale_report import DEEP
from tests.bench.scale_work import PAGE, SAMPLES, SECRET, Catalogue, Samples
from tests.support.ports import free_port

KEY = "fr_" + "s" * 43
ALLOWED = {"Authorization": f"Bearer {KEY}", "Cookie": f"freshet_session={KEY}"}
OK = 200
START_SECONDS = 120.0
STEP = 0.005
TOO_LONG = 60.0
WORDS = (
    "tides night river glass summer ocean velvet stone fire winter dream golden paper moon city "
    "light"
).split()

Path = Callable[[Samples, int], str]


@dataclass(frozen=True)
class Request:
    """A request that is measured; `path` makes its address in a round."""

    name: str
    path: Path


def same(path: str) -> Path:
    return lambda _chosen, _number: path


def changes(place: int) -> Path:
    return lambda chosen, _number: f"/api/changes/?after={chosen.journal[place]}"


REQUESTS: Sequence[Request] = (
    Request("`/api/artists/`, warm", same("/api/artists/")),
    Request("`/api/albums/?limit=100`", same(f"/api/albums/?limit={PAGE}")),
    Request(
        DEEP,
        lambda chosen, number: (
            f"/api/albums/?limit={PAGE}&cursor={chosen.cursors[number % SAMPLES]}"
        ),
    ),
    Request(
        "`/api/albums/?q=`, a release long past",
        lambda chosen, number: (
            f"/api/albums/?limit={PAGE}&q={quote(chosen.names[number % SAMPLES])}"
        ),
    ),
    Request(
        "`/api/albums/?q=`",
        lambda chosen, number: f"/api/albums/?q={WORDS[number % len(WORDS)]}&release_limit=100",
    ),
    Request(
        "`/api/albums/?at=`, a day long past",
        lambda chosen, number: f"/api/albums/?at={chosen.day}&tz={ZONES[number % len(ZONES)]}",
    ),
    Request(
        "`/api/albums/?artist=`, 5 releases",
        lambda chosen, number: f"/api/albums/?artist={chosen.artists[number % SAMPLES]}",
    ),
    Request(
        "`/api/artists/{id}/`, 5 releases",
        lambda chosen, number: f"/api/artists/{chosen.artists[number % SAMPLES]}/",
    ),
    Request(
        "`/api/albums/{id}/` with its history",
        lambda chosen, number: f"/api/albums/{chosen.albums[number % SAMPLES]}/",
    ),
    Request("`/api/changes/`, from the first entry", changes(0)),
    Request("`/api/changes/`, from the middle", changes(1)),
    Request("`/api/changes/`, at the end", changes(2)),
    Request("`/api/my/albums/`", same("/api/my/albums/")),
    Request("`/api/my/following/`", same("/api/my/following/")),
    Request("`/my/`", same("/my/")),
    Request("`/api/status`", same("/api/status")),
    Request("`/metrics`", same("/metrics")),
    Request("`/readyz`", same("/readyz")),
)


def allow(catalogue: Catalogue) -> None:
    """Make a key and a session with which the owner's releases are read."""
    now = datetime.now(UTC)
    with Session(catalogue.engine) as session, session.begin():
        key_store.insert(session, ACCOUNT, "bench", ["read"], KEY, KEY[:7], now)
        session.add(
            BrowserSession(
                token_hash=fingerprint(KEY),
                account_id=ACCOUNT,
                created_at=now,
                expires_at=now + timedelta(days=1),
            )
        )


def environment(url: URL, port: int) -> dict[str, str]:
    """Return settings of a server that neither syncs nor checks, nor deletes anything."""
    nobody = f"http://127.0.0.1:{free_port()}"
    return {
        **os.environ,
        "CLIENT_ID": "bench",
        "CLIENT_SECRET": "bench",
        "SECRET": SECRET,
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "SYNC_INTERVAL": "0",
        "CACHE_TTL": "3600",
        "RETENTION_DAYS": "3660",
        "SPOTIFY_API_URL": f"{nobody}/v1",
        "SPOTIFY_ACCOUNTS_URL": nobody,
    }


class Server:
    """`manage.py run` on a catalogue.

    `ready` is the milliseconds until /readyz answered with 200, `cpu` the CPU time of the process
    till then. Raises RuntimeError if it never does.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._samples, self.port = catalogue.samples, free_port()
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT,
            env=environment(catalogue.url, self.port),
            stdout=subprocess.DEVNULL,
        )
        try:
            self._await(started + START_SECONDS)
        except BaseException:
            self.close()
            raise
        self.ready = (time.perf_counter() - started) * 1000
        self.cpu = cpu_seconds(self.process.pid) * 1000

    def _await(self, until: float) -> None:
        while time.perf_counter() < until and self.process.poll() is None:
            with suppress(OSError, HTTPException):
                if self.ask("/readyz")[1] == OK:
                    return
            time.sleep(STEP)
        raise RuntimeError(f"not ready; its exit code is {self.process.poll()}")

    def ask(self, path: str) -> tuple[float, int, bytes]:
        """Return how many milliseconds an answer took, its status, and its body."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TOO_LONG)) as connection:
            connection.connect()
            started = time.perf_counter()
            connection.request("GET", path, headers=ALLOWED)
            response = connection.getresponse()
            body = response.read()
            return (time.perf_counter() - started) * 1000, response.status, body

    def milliseconds(self, request: Request, number: int) -> float:
        """Do one round of a request. Raises RuntimeError unless it is answered with 200."""
        path = request.path(self._samples, number)
        took, status, _ = self.ask(path)
        if status != OK:
            raise RuntimeError(f"{path} was answered with {status}")
        return took

    @property
    def memory(self) -> float:
        """Megabytes that the process holds."""
        return resident(self.process.pid)

    def close(self) -> None:
        stop(self.process)


def doctor(catalogue: Catalogue) -> float:
    """Return how many milliseconds `manage.py doctor` takes, which cannot reach Spotify."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env=environment(catalogue.url, free_port()),
        capture_output=True,
        text=True,
        check=False,
    )
    if "reachable; its schema is the newest" not in done.stdout:
        raise RuntimeError(f"doctor says: {done.stdout} {done.stderr}")
    return (time.perf_counter() - started) * 1000
