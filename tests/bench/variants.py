"""Answers that nobody has asked for before, with 1 000 releases in memory: asked for and made.

`python -m tests.bench.variants` runs it alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from sqlalchemy import URL, text
from sqlalchemy.orm import Session

from models import Base
from server.catalog.query import KINDS, Portion
from server.catalog.snapshot import Snapshot
from server.database import schema
from server.database.embedded import EmbeddedPostgres
from server.database.engine import make_engine
from server.serving.cache import PayloadCache
from server.serving.cursors import Cursors
from server.serving.payload import CODINGS
from server.serving.readings import Readings
from server.storage import snapshots, sweeps
from server.threads import Threads
from tests.bench.catalogue import releases
from tests.bench.extent import FULL, Extent
from tests.support.examples import sweep

GOAL = 5.0  # ms
AT = datetime(2026, 11, 20, tzinfo=UTC)
NOTHING = "/api/artists/?q=nothing+has+this+name"
LEAST_BYTES = 1000  # of all others
VARIANTS = (
    "/api/artists/",
    "/api/artists/?limit=50&offset=50&release_limit=200",
    "/api/artists/?q=tides&release_limit=200",
    NOTHING,
    "/api/artists/?type=single,ep&market=DE&release_limit=100",
    "/api/artists/?exclude=various_artists,versions&release_limit=200",
    "/api/artists/?released_after=2026-11-10&released_before=2026-11&sort=seen",
    "/api/artists/?fields=spotify_id,name&release_limit=200",
    "/api/artists/?fields=name,albums&release_limit=200",
    "/api/artists/?sort=name&release_limit=200",
    "/api/artists/?include=markets",
    "/api/artists/?at=2026-11-20",
    "/api/artists/?kind=ep&days=7&tz=America/New_York&release_limit=200",
    "/api/artists/?release_limit=200",
    "/api/artists/?include=markets&release_limit=200",
    "/api/albums/",
    "/api/albums/?release_limit=200",
    "/api/albums/?include=markets&release_limit=200",
    "/api/albums/?sort=-name&release_limit=200&limit=100",
    *(
        f"{path}{rest}"
        for path in KINDS
        if path.startswith("/feeds/")
        for rest in ("", "?release_limit=200")
    ),
)


class Asking:
    """Asks a new cache each time, which has the releases and a day gone by in memory."""

    def __init__(self, snapshot: Snapshot, day: Snapshot) -> None:
        self._snapshot = snapshot
        self._day = day
        self._threads = Threads(2)
        self.bytes: dict[str, int] = {}

    async def _load(self, portion: Portion | None = None) -> Snapshot:
        return self._snapshot if portion is None else self._day

    async def _load_page(self, *_: Any) -> None:
        raise AssertionError("everything is in memory")

    async def _compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)

    async def ask(self, address: str) -> list[float]:
        """Milliseconds until the answer is there, in each coding."""
        path, _, query_string = address.partition("?")
        took = []
        for coding in CODINGS:
            cache = PayloadCache(
                self._load,
                self._load,
                self._compute,
                ttl=3600,
                max_age=15,
                interval=lambda: timedelta(hours=1),
                now=lambda: AT,
                timer=time.monotonic,
                readings=Readings(self._load_page, Cursors("x" * 32)),
            )
            await cache.refresh()
            cache.responses.clear()  # the default answer is on it after each sync
            started = time.perf_counter()
            made = await cache.get(KINDS[path], query_string, coding)
            took.append((time.perf_counter() - started) * 1000)
        self.bytes[address] = len(made.body)
        return took


async def measure(asking: Asking, count: int) -> dict[str, list[list[float]]]:
    times: dict[str, list[list[float]]] = {address: [] for address in VARIANTS}
    for _ in range(1 + count):
        for address in VARIANTS:
            times[address].append(await asking.ask(address))
    return {address: rounds[1:] for address, rounds in times.items()}


def main(url: URL, extent: Extent) -> list[str]:
    """Print the table. Returns what is wrong: each answer has to hold something."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    engine = make_engine(url)
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {names}"))
    with Session(engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(releases(extent.variant_albums)), AT, lambda: AT)
    with Session(engine) as session:
        asking = Asking(
            snapshots.load(session, AT.date()),
            snapshots.load_portion(session, Portion("2026-11-20"), AT.date()),
        )
    engine.dispose()
    times = asyncio.run(measure(asking, extent.variant_rounds))
    print(
        f"Answers never asked for before, ms (medians of {extent.variant_rounds} rounds by turns, "
        "and the worst)"
    )
    print(f"  {'bytes':>9}  {'br':>11}  {'gzip':>11}  {'identity':>11}")
    worst = 0.0
    for address, rounds in times.items():
        columns = list(zip(*rounds, strict=True))
        worst = max(worst, *(median(each) for each in columns))
        shown = "  ".join(f"{median(each):5.1f} {max(each):5.1f}" for each in columns)
        print(f"  {asking.bytes[address]:9}  {shown}  {address}")
    print(f"  the slowest median: {worst:.1f} ms  (goal <= {GOAL:.0f} ms)\n")
    empty = [each for each in VARIANTS if asking.bytes[each] < LEAST_BYTES and each != NOTHING]
    return [f"{each} holds nothing" for each in empty]


def alone(part: Callable[[URL, Extent], list[str]]) -> None:
    """Run one part of the bench with a database of its own."""
    with TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        postgres.start()
        try:
            engine = make_engine(postgres.url)
            schema.create(engine)
            engine.dispose()
            print("\n".join(part(postgres.url, FULL)))
        finally:
            postgres.stop()


if __name__ == "__main__":
    alone(main)
