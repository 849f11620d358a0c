"""Builds what responses are served from, and the HTTP server that sends them."""

import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from handlers.pages.base import Pages
from server.app import routes
from server.catalog.snapshot import freshness_of
from server.config.settings import Settings
from server.database.admission import Admission
from server.database.executor import Database
from server.http.connections.backlog import Backlog
from server.http.forwarded import TrustedProxies
from server.http.head_cache import Count, HeadCache
from server.http.refusals import UnreadableRequest
from server.http.server import WebServer
from server.observability.access_log import AccessLog, new_id
from server.observability.instruments import CacheTally
from server.openapi import problem_kinds
from server.serving.cache import PayloadCache
from server.serving.cursors import Cursors
from server.serving.deprecations import Deprecations
from server.serving.lag import ServingLag
from server.serving.negotiation import strict_transport
from server.serving.readings import Readings
from server.serving.streams.broadcast import LISTENER_BYTES, Broadcast
from server.storage import changes, snapshots
from server.storage.reading.pages import read_page
from server.sync.upstream_status import UpstreamStatus
from server.threads import Threads

QUOTED = re.compile(r"[:'\"].*", re.DOTALL)  # where a reason may begin to quote the client


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
    """Build the cache of serialised responses; the threads of `builders` serialise them."""
    cursors = Cursors(settings.secret.get_secret_value(), settings.public_url)
    return PayloadCache(
        lambda: database.run(snapshots.load, now().date()),
        lambda portion: database.run(snapshots.load_portion, portion, now().date()),
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
        readings=Readings(lambda *page: database.run(read_page, *page), cursors),
    )


def make_lag(
    cache: PayloadCache, upstream_status: UpstreamStatus, timer: Callable[[], float]
) -> ServingLag:
    """Build what checks that the newest stored sync is served."""
    return ServingLag(
        stored=lambda: upstream_status.history.stored,
        served=lambda: freshness_of(cache.snapshot).run,
        reload=cache.refresh,
        timer=timer,
    )


def make_admission(settings: Settings) -> Admission:
    """Build what limits the number of waiting requests."""
    return Admission(settings.budget.waiting)


def make_head_cache(
    settings: Settings,
    cache: PayloadCache,
    count: Count,
    timer: Callable[[], float],
    deprecations: Deprecations,
) -> HeadCache:
    """Build the fast lane's cache; `count` is called with its hits."""
    most, strict = settings.budget.head_cache, strict_transport(settings.public_url)
    stored = cache.responses, cache.hot_queries
    return HeadCache(*stored, count, time.time, timer, most, strict, deprecations)


def make_broadcast(
    settings: Settings, database: Database, on_replaced: Callable[[], Awaitable[None]]
) -> Broadcast:
    """Build what sends changes to event streams; `on_replaced` is awaited if the journal is."""
    memory = settings.budget
    return Broadcast(
        lambda after, limit: database.run(changes.read, after, limit),
        lambda limit: database.run(changes.read_latest, limit),
        max_followers=memory.listeners // LISTENER_BYTES,
        max_bytes=memory.ring,
        max_per_client=settings.events_per_client,
        on_replaced=on_replaced,
    )


def make_backlog(settings: Settings, on_close: Callable[[str], None]) -> Backlog:
    """Build the count of unsent bytes; `on_close` is called with the reason of each closing."""
    return Backlog(settings.budget.unsent, on_close)


def make_web_server(
    settings: Settings,
    table: list[Any],
    pages: Pages,
    access_log: AccessLog,
    head_cache: HeadCache,
    backlog: Backlog,
    broadcast: Broadcast,
    deprecations: Deprecations,
) -> WebServer:
    """Build the HTTP server for a route table."""
    public = urlsplit(settings.public_url)
    proxies = TrustedProxies(settings.trusted_proxies, public.scheme)
    return WebServer(
        table,
        access_log,
        routes.not_found(pages),
        head_cache,
        proxies,
        Refuser(public.path, access_log, proxies),
        backlog=backlog,
        memory=settings.budget,
        shed=broadcast.shed,
        deprecations=deprecations,
    )


class Refuser:
    """Answers and logs requests that cannot be parsed, with the same problems as handlers.

    `root` is the path of PUBLIC_URL.
    """

    def __init__(self, root: str, access_log: AccessLog, proxies: TrustedProxies) -> None:
        self._root = root
        self._access_log = access_log
        self._proxies = proxies

    def __call__(self, request: UnreadableRequest) -> bytes:
        """Log a request and return the body of its response."""
        explained, request_id = problem_kinds.of_status(request.status), new_id()
        reason = QUOTED.sub("", request.reason).strip()
        detail = f"The request cannot be read: {reason}."
        problem = problem_kinds.problem(
            self._root, explained.kind, explained.title, request.status, detail, request_id
        )
        body = orjson.dumps(problem)
        self._access_log.refused(
            request_id,
            request.method,
            request.target,
            self._proxies.origin(request.peer, request.headers),
            request.status,
            len(body),
            request.reason,
        )
        return body
