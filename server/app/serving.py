"""What answers are served from, and the server that sends them, wired to the rest."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from handlers.pages.base import Pages
from server.app import routes
from server.app.unreadable import Refuser
from server.catalog.snapshot import freshness_of
from server.config.settings import Settings
from server.database.admission import Admission
from server.database.executor import Database
from server.http.connections.unsent import Backlog
from server.http.forwarded import TrustedProxies
from server.http.head_cache import Count, HeadCache
from server.http.server import WebServer
from server.observability.access_log import AccessLog
from server.observability.instruments import CacheTally
from server.serving.cache import PayloadCache
from server.serving.lag import ServingLag
from server.serving.negotiation import strict_transport
from server.serving.streams.broadcast import LISTENER_BYTES, Broadcast
from server.storage import changes, snapshots
from server.sync.upstream_status import UpstreamStatus
from server.threads import Threads


def make_cache(
    settings: Settings,
    database: Database,
    builders: Threads,
    interval: Callable[[], timedelta],
    now: Callable[[], datetime],
    timer: Callable[[], float],
    tally: CacheTally,
    admission: Admission,
) -> PayloadCache:
    """The part that holds ready answers, as the settings want it; `builders` make them."""
    return PayloadCache(
        lambda: database.run(snapshots.load, now().date()),
        lambda day: database.run(snapshots.load_day, day),
        builders.call,
        ttl=settings.cache_ttl,
        max_age=settings.cache_max_age,
        root=settings.public_url,
        interval=interval,
        now=now,
        timer=timer,
        tally=tally,
        memory=settings.budget,
        admission=admission,
    )


def make_lag(
    cache: PayloadCache, upstream_status: UpstreamStatus, timer: Callable[[], float]
) -> ServingLag:
    """The part that sees to it that what is stored is served."""
    return ServingLag(
        stored=lambda: upstream_status.history.stored,
        served=lambda: freshness_of(cache.snapshot).run,
        reload=cache.refresh,
        timer=timer,
    )


def make_admission(settings: Settings) -> Admission:
    """The part that bounds how many requests wait."""
    return Admission(settings.budget.waiting)


def make_head_cache(
    settings: Settings, cache: PayloadCache, count: Count, timer: Callable[[], float]
) -> HeadCache:
    """The part that knows what is answered by the fast lane."""
    most, strict = settings.budget.head_cache, strict_transport(settings.public_url)
    return HeadCache(cache.responses, cache.hot_queries, count, time.time, timer, most, strict)


def make_broadcast(settings: Settings, database: Database) -> Broadcast:
    """The part that tells listeners of changes."""
    memory = settings.budget
    return Broadcast(
        lambda after, limit: database.run(changes.read, after, limit),
        lambda limit: database.run(changes.read_latest, limit),
        max_followers=memory.listeners // LISTENER_BYTES,
        max_bytes=memory.ring,
        max_per_client=settings.events_per_client,
    )


def make_backlog(settings: Settings, tell: Callable[[str], None]) -> Backlog:
    """The account of what clients have yet to take; `tell` hears why a connection is closed."""
    return Backlog(settings.budget.unsent, tell)


def make_web_server(
    settings: Settings,
    table: list[Any],
    pages: Pages,
    access_log: AccessLog,
    head_cache: HeadCache,
    backlog: Backlog,
    broadcast: Broadcast,
) -> WebServer:
    """The HTTP server with these routes, as the settings want it."""
    public = urlsplit(settings.public_url)
    proxies = TrustedProxies(settings.trusted_proxies, public.scheme)
    return WebServer(
        table,
        access_log,
        routes.elsewhere(pages),
        head_cache,
        proxies,
        Refuser(public.path, access_log, proxies),
        backlog=backlog,
        memory=settings.budget,
        shed=broadcast.shed,
    )
