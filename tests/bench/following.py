"""Somebody who follows 10 000 artists: what their list costs in time and in memory.

`python -m tests.bench.following` runs it alone.
"""

import gc
import logging
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

import structlog
from sqlalchemy import URL, Engine, text
from sqlalchemy.orm import Session

from models import Base, Login
from server.database.engine import make_engine
from server.following import list_store
from server.storage import following, sweeps
from tests.bench.catalogue import releases
from tests.bench.measure import seconds
from tests.bench.scale import Scale
from tests.bench.variants import alone
from tests.support.examples import sweep

AT = datetime(2026, 11, 20, tzinfo=UTC)
ACCOUNT = "bench-account"

Followed = list[tuple[str, str]]


class Bench:
    """A database with a list of new releases and one login, and what is done with it."""

    def __init__(self, engine: Engine, scale: Scale) -> None:
        self._engine = engine
        self._rounds = scale.sync_rounds
        self.albums = sweep(releases(scale.sync_albums))
        self.followed = _artists(releases(scale.sync_albums), scale.followed)

    def clear(self) -> None:
        names = ", ".join(table.name for table in Base.metadata.sorted_tables)
        with self._engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {names}"))
        self.do(lambda session: session.add(Login(account_id=ACCOUNT, scopes=[], state="active")))

    def do(self, work: Callable[[Session], Any]) -> Any:
        with Session(self._engine) as session, session.begin():
            return work(session)

    def milliseconds(self, work: Callable[[Session], Any]) -> float:
        """The median of some rounds, the first of which does not count."""
        times = [seconds(lambda: self.do(work)) * 1000 for _ in range(1 + self._rounds)]
        return median(times[1:])

    def sync(self, session: Session) -> None:
        sweeps.record_sweep(session, self.albums, AT, lambda: AT)

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


def main(url: URL, scale: Scale) -> list[str]:
    """Print the table. Returns what is wrong: all of the artists have to be there."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    engine = make_engine(url)
    bench = Bench(engine, scale)
    bench.clear()
    alone = bench.milliseconds(bench.sync)
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
        f"a sync of {scale.sync_albums} albums": bench.milliseconds(bench.sync),
        "… and if nobody followed anyone": alone,
    }
    held = megabytes(lambda: bench.do(lambda session: following.read_mine(session, ACCOUNT)))
    found = len(bench.do(following.wanted))
    engine.dispose()
    print(f"{scale.followed} followed artists, ms (medians of {scale.sync_rounds} rounds)")
    for label, took in rows.items():
        print(f"  {took:9.1f}  {label}")
    print(f"  {held:9.1f}  MB of memory for the artists of one owner\n")
    return [] if found == scale.followed else [f"{found} of {scale.followed} artists are wanted"]


if __name__ == "__main__":
    alone(main)
