"""The routes, on one screen: each with its handler, and what that is given."""

import re
from collections.abc import Awaitable
from functools import cache, lru_cache
from typing import Any

import orjson

from handlers import docs
from handlers.artist import ArtistHandler
from handlers.auth import CallbackHandler, DisconnectHandler, LoginHandler, LogoutHandler
from handlers.changes import ChangesHandler
from handlers.events import EventsHandler
from handlers.health import HealthHandler, ReadyHandler
from handlers.home import HomeHandler
from handlers.overview import OverviewHandler
from handlers.pages import STATIC, Pages, StaticHandler
from handlers.payloads import QueryHandler, SingleHandler
from handlers.status import MetricsHandler, StatusHandler
from handlers.sync import SyncHandler
from server.catalog import manual, objects
from server.catalog.broadcast import Broadcast
from server.catalog.cache import Found, PayloadCache
from server.catalog.description import openapi
from server.catalog.manual import Manual
from server.catalog.query import KINDS
from server.catalog.standing import Standing
from server.catalog.sync import Syncer
from server.config import Settings
from server.database import Database
from server.login.desk import LoginDesk
from server.login.watch import ConsentWatch
from server.metrics import Metrics
from server.readiness import DatabaseProbe

ID = "([0-9A-Za-z]{22})"


def table(
    settings: Settings,
    *,
    database: Database,
    cache: PayloadCache,
    broadcast: Broadcast,
    desk: LoginDesk,
    watch: ConsentWatch,
    standing: Standing,
    syncer: Syncer,
    metrics: Metrics,
    probe: DatabaseProbe,
) -> list[Any]:
    """Every route but the one for addresses that no route knows."""

    def artist(spotify_id: str) -> Awaitable[Found | None]:
        return database.run(objects.read_artist, spotify_id)

    def album(spotify_id: str) -> Awaitable[Found | None]:
        return database.run(objects.read_album, spotify_id)

    site = Pages(settings.public_url, settings.spotify_api_url)
    pages, files = {"pages": site}, {"path": str(STATIC)}
    document, readable = _description()
    documents = {"manual": readable, "page": _documentation(settings.public_url)}
    login = {**pages, "desk": desk}
    account = {**login, "watch": watch, "owned": not settings.allowed_users}
    known = {"cache": cache, "standing": standing}
    shown = {**account, **known}
    return [
        (r"/", HomeHandler, shown),
        (rf"/artists/{ID}/?", ArtistHandler, {**account, "cache": cache, "load": artist}),
        (r"/status", OverviewHandler, {**shown, "syncer": syncer}),
        (r"/auth/login/?", LoginHandler, login),
        (r"/auth/authorize/?", LoginHandler, login),
        (r"/auth/callback/?", CallbackHandler, login),
        (r"/auth/logout/?", LogoutHandler, login),
        (r"/auth/disconnect/?", DisconnectHandler, login),
        (r"/static/(freshet\.(?:css|js|svg)|docs\.(?:css|js))", StaticHandler, files),
        *[
            (_pattern(kind.path), QueryHandler, {"cache": cache, "kind": kind})
            for kind in KINDS.values()
        ],
        (rf"/api/artists/{ID}/?", SingleHandler, {"cache": cache, "load": artist}),
        (rf"/api/albums/{ID}/?", SingleHandler, {"cache": cache, "load": album}),
        (r"/api/changes/?", ChangesHandler, {"database": database}),
        (r"/api/events", EventsHandler, {"broadcast": broadcast}),
        (r"/api/sync/?", SyncHandler, {**login, "syncer": syncer}),
        (r"/api/openapi\.json", docs.OpenApiHandler, {"document": document}),
        (r"/api/docs/?", docs.DocsHandler, {**pages, **documents}),
        (r"/api/status", StatusHandler, {**known, "watch": watch, "syncer": syncer}),
        (r"/metrics", MetricsHandler, {"metrics": metrics}),
        (r"/healthz", HealthHandler),
        (r"/readyz", ReadyHandler, {"probe": probe, "cache": cache}),
    ]


@cache
def _description() -> tuple[docs.Coded, Manual]:
    """What this API is, for programs and for people; it changes with the program only."""
    description = openapi()
    return docs.describe(orjson.dumps(description)), manual.read(description)


@lru_cache(maxsize=1)
def _documentation(public_url: str) -> docs.Coded:
    """The page of the API for a server that is reached there."""
    _, readable = _description()
    return docs.ready(docs.render(Pages(public_url), readable))


def _pattern(path: str) -> str:
    """An address as a pattern; where it ends in a slash, that may be left out."""
    return re.escape(path) + ("?" if path.endswith("/") else "")
