"""What answers are served from, wired to the database."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from server.catalog import journal, reader
from server.catalog.broadcast import Broadcast
from server.catalog.cache import PayloadCache
from server.config import Settings
from server.database import Database
from server.instruments import CacheTally
from server.lane.memo import Count, Memo
from server.threads import Threads


def make_cache(
    settings: Settings,
    database: Database,
    builders: Threads,
    interval: Callable[[], timedelta],
    now: Callable[[], datetime],
    tally: CacheTally,
) -> PayloadCache:
    """The part that holds ready answers, as the settings want it; `builders` make them."""
    return PayloadCache(
        lambda: database.run(reader.load),
        lambda day: database.run(reader.load_day, day),
        builders.call,
        ttl=settings.cache_ttl,
        max_age=settings.cache_max_age,
        root=settings.public_url,
        interval=interval,
        now=now,
        timer=time.monotonic,
        tally=tally,
    )


def make_memo(cache: PayloadCache, count: Count) -> Memo:
    """The part that knows what is answered by the fast lane."""
    return Memo(cache.shelf, cache.demand, count, time.time, time.monotonic)


def make_broadcast(database: Database) -> Broadcast:
    """The part that tells listeners of changes."""
    return Broadcast(
        lambda after, limit: database.run(journal.entries, after, limit),
        lambda limit: database.run(journal.latest_entries, limit),
    )
