"""Somebody who follows 10 000 artists: what their list costs in time and in memory.

`python -m tests.bench.following` runs it alone.
"""

import gc
import logging
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import structlog
from sqlalchemy import URL, Engine, text
from sqlalchemy.orm import Session

from models import Base, BrowserSession, Login
from server.config.addresses import ROOT
from server.database.engine import make_engine
from server.following import list_store
from server.login import key_store
from server.login.attempt import fingerprint
from server.storage import artist_checks, following, sweeps
from tests.bench.catalogue import releases
from tests.bench.extent import Extent
from tests.bench.http.process import await_answer, fetch, resident, stop
from tests.bench.measure import seconds
from tests.bench.variants import alone
from tests.support.examples import sweep
from tests.support.ports import free_port

AT = datetime(2026, 11, 20, tzinfo=UTC)
ACCOUNT = "bench-account"
KEY = "fr_" + "b" * 43
PRIVATE = (
    "/api/my/albums/",
    "/api/my/artists/",
    "/api/my/following/",
    "/feeds/my/albums.atom",
    "/my/",
)
ALLOWED = {"Authorization": f"Bearer {KEY}", "Cookie": f"freshet_session={KEY}"}
OK = 200
LEAST = 1000  # bytes of an answer that holds something

Followed = list[tuple[str, str]]


class Bench:
    """A database with a list of new releases and one login, and what is done with it."""

    def __init__(self, engine: Engine, extent: Extent) -> None:
        self._engine = engine
        self._rounds = extent.sync_rounds
        self.albums = sweep(releases(extent.sync_albums))
        self.followed = _artists(releases(extent.sync_albums), extent.followed)

    def clear(self) -> None:
        names = ", ".join(table.name for table in Base.metadata.sorted_tables)
        with self._engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {names}"))
        login = Login(account_id=ACCOUNT, scopes=[], state="active", authorized_at=AT)
        self.do(lambda session: session.add(login))

    def do(self, work: Callable[[Session], Any]) -> Any:
        with Session(self._engine) as session, session.begin():
            return work(session)

    def milliseconds(self, work: Callable[[Session], Any]) -> float:
        """The median of some rounds, the first of which does not count."""
        times = [seconds(lambda: self.do(work)) * 1000 for _ in range(1 + self._rounds)]
        return median(times[1:])

    def syncs(self) -> tuple[float, float]:
        """Milliseconds of a sync while nobody follows anyone, and while somebody does, by turns."""
        times: tuple[list[float], list[float]] = [], []
        for _ in range(1 + self._rounds):
            self.clear()
            self.do(self.sync)
            times[0].append(seconds(lambda: self.do(self.sync)) * 1000)
            self.do(self.store)
            times[1].append(seconds(lambda: self.do(self.sync)) * 1000)
        return median(times[0][1:]), median(times[1][1:])

    def sync(self, session: Session) -> None:
        sweeps.record_sweep(session, self.albums, AT, lambda: AT)

    def plan(self, session: Session) -> dict[str, Any]:
        """Plan the checks of all wanted artists, as a server does at its start; return them."""
        return artist_checks.plan_checks(session, list(following.wanted(session)), AT)

    def store(self, session: Session) -> None:
        list_store.record_followed(session, ACCOUNT, self.followed, AT)

    def store_all_but_a_few(self, session: Session) -> None:
        list_store.record_followed(session, ACCOUNT, self.followed[10:], AT)


def _artists(albums: list[dict[str, Any]], count: int) -> Followed:
    """Artists to follow with their names: first those of the albums, then others."""
    known = {artist["id"]: artist["name"] for album in albums for artist in album["artists"]}
    others = {f"{number:022d}": f"Artist {number}" for number in range(count)}
    return [*(known | others).items()][:count]


def megabytes(work: Callable[[], Any]) -> float:
    """What is left in memory of the result of some work."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = work()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return (after - before) / 1_000_000


def main(url: URL, extent: Extent) -> list[str]:
    """Print the table. Returns what is wrong: all of the artists have to be there."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    engine = make_engine(url)
    bench = Bench(engine, extent)
    alone, followed = bench.syncs()
    bench.clear()
    bench.do(bench.sync)
    rows = {"a list is stored for the first time": seconds(lambda: bench.do(bench.store)) * 1000}
    rows |= {
        "the same list a day later": bench.milliseconds(bench.store),
        "ten of them are no longer followed": bench.milliseconds(bench.store_all_but_a_few),
    }
    bench.do(bench.store)
    rows |= {
        "the artists of one owner are read": bench.milliseconds(
            lambda session: following.read_mine(session, ACCOUNT)
        ),
        "the wanted artists of all owners are read": bench.milliseconds(following.wanted),
        "… and when each is checked": bench.milliseconds(bench.plan),
        f"a sync of {extent.sync_albums} albums": followed,
        "… and if nobody followed anyone": alone,
    }
    held = megabytes(lambda: bench.do(lambda session: following.read_mine(session, ACCOUNT)))
    found = len(bench.do(bench.plan))
    bench.do(_allow)
    engine.dispose()
    print(f"{extent.followed} followed artists, ms (medians of {extent.sync_rounds} rounds)")
    for label, took in rows.items():
        print(f"  {took:9.1f}  {label}")
    print(f"  {held:9.1f}  MB of memory for the artists of one owner")
    faults = asked(url, extent.sync_rounds)
    return [*faults, *([] if found == extent.followed else [f"{found} artists are wanted"])]


def _allow(session: Session) -> None:
    """Make a key and a session with which the owner's releases are read."""
    key_store.insert(session, ACCOUNT, "bench", ["read"], KEY, KEY[:7], AT)
    later = datetime.now(UTC) + timedelta(days=1)
    session.add(
        BrowserSession(
            token_hash=fingerprint(KEY), account_id=ACCOUNT, created_at=AT, expires_at=later
        )
    )


def asked(url: URL, rounds: int) -> list[str]:
    """Print how long a server takes for the owner's releases, and its memory; what is wrong."""
    with server(url) as process:
        port, pid = int(process.args[-1]), process.pid
        fetch(port, "/api/albums/")
        before, faults = resident(pid), []
        for path in (*PRIVATE, "/api/albums/"):
            times = []
            for _ in range(1 + 10 * rounds):
                started = time.perf_counter()
                status, _, body = fetch(port, path, **ALLOWED)
                times.append((time.perf_counter() - started) * 1000)
            faults += [] if status == OK and len(body) > LEAST else [f"{path}: {status}"]
            print(f"  {median(times[1:]):9.1f}  {path} (the first time {times[0]:.1f})")
        print(f"  {resident(pid):9.1f}  MB held by the process, {before:.1f} before\n")
    return faults


@contextmanager
def server(url: URL) -> Iterator[Any]:
    """Run a server that neither syncs nor checks, on a free port, its last argument."""
    port = str(free_port())
    settings = {
        "CLIENT_ID": "bench",
        "CLIENT_SECRET": "bench",
        "SECRET": "a secret for the bench that is long enough",
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "HOST": "127.0.0.1",
        "SYNC_INTERVAL": "0",
        # Nobody listens there.
        "SPOTIFY_API_URL": f"http://127.0.0.1:{free_port()}/v1",
        "SPOTIFY_ACCOUNTS_URL": f"http://127.0.0.1:{free_port()}",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run", "-p", port],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    try:
        await_answer(process, int(port), "/api/albums/")
        yield process
    finally:
        stop(process)


if __name__ == "__main__":
    alone(main)
