"""The routes on one screen: each with its handler and the handler's arguments."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from handlers.access import NoRouteHandler
from handlers.api.changes import ChangesHandler
from handlers.api.events import EventsHandler
from handlers.api.keys import KeyHandler, KeysHandler
from handlers.api.my import (
    ChoiceHandler,
    FollowingHandler,
    ImportHandler,
    MyListHandler,
)
from handlers.api.releases import QueryHandler, SingleHandler
from handlers.api.status import StatusHandler
from handlers.api.sync import SyncHandler
from handlers.health import HealthHandler, ReadyHandler
from handlers.metrics import MetricsHandler
from handlers.pages.account import NoPageHandler
from handlers.pages.artist import ArtistHandler
from handlers.pages.auth import (
    CallbackHandler,
    DisconnectHandler,
    LoginHandler,
    LogoutHandler,
    PastedHandler,
)
from handlers.pages.base import STATIC, NotFoundHandler, Pages
from handlers.pages.choosing import ChooseHandler, ImportPageHandler, RefreshHandler
from handlers.pages.demo import CoverHandler, OpenHandler, SetupHandler
from handlers.pages.docs import DocsHandler, OpenApiHandler
from handlers.pages.files import ApiRootHandler, IconHandler, RobotsHandler, StaticHandler
from handlers.pages.home import HomeHandler
from handlers.pages.keys import KeysPageHandler, RevokeHandler
from handlers.pages.my import MyPageHandler
from handlers.pages.problems import ProblemHandler
from handlers.pages.reference_builder import ReferenceBuilder
from handlers.pages.status import StatusPageHandler
from handlers.session import PublicAddress
from server.app.own_artists import OwnArtists
from server.catalog.my_queries import MY_FEEDS, MY_LISTS
from server.catalog.query import KINDS
from server.catalog.snapshot import Found
from server.config.settings import Settings
from server.database.admission import Admission, AdmittedDatabase
from server.database.executor import Database
from server.database.readiness import DatabaseProbe
from server.http.forwarded import TrustedProxies
from server.login.access_keys import AccessKeys
from server.login.service import LoginService
from server.observability.metrics import Metrics
from server.serving.cache import PayloadCache
from server.serving.lag import ServingLag
from server.serving.streams.broadcast import Broadcast
from server.storage import lookups
from server.sync.status import Status
from server.sync.syncer import Syncer
from server.threads import Threads

ID = "([0-9A-Za-z]{22})"  # Spotify's
NUMBER = "([1-9][0-9]{0,17})"  # an id of this database
ANY_ID = "([0-9A-Za-z]{22}|[1-9][0-9]{0,18})"  # or the id of this database


def table(
    settings: Settings,
    *,
    database: Database,
    cache: PayloadCache,
    broadcast: Broadcast,
    login_service: LoginService,
    keys: AccessKeys,
    read_status: Callable[[], Status],
    syncer: Syncer,
    metrics: Metrics,
    probe: DatabaseProbe,
    lag: ServingLag,
    builders: Threads,
    admission: Admission,
    pages: Pages,
    own: OwnArtists,
) -> list[Any]:
    """Return all routes; `not_found` answers at other addresses."""

    def artist(identity: str) -> Awaitable[Found | None]:
        return database.run(lookups.read_artist, identity)

    def album(spotify_id: str) -> Awaitable[Found | None]:
        return database.run(lookups.read_album, spotify_id)

    admitted = AdmittedDatabase(database, admission)
    root = {"root": settings.public_url}
    page, files = {"pages": pages}, {"path": str(STATIC), **root}
    described = {"reference_builder": ReferenceBuilder(pages, builders)}
    served = {"cache": cache, **root}
    login = {**page, "login_service": login_service}
    access = {"address": pages.address, "login_service": login_service, "keys": keys}
    account = {**login, "read_status": read_status, "owned": not settings.allowed_users}
    shown = {**account, "cache": cache, "my_releases": own.my_releases}
    return [
        (r"/", HomeHandler, shown),
        (rf"/artists/{ANY_ID}/?", ArtistHandler, {**shown, "load": artist}),
        (r"/status", StatusPageHandler, {**account, "syncer": syncer}),
        *_of_the_login(login, by_hand=settings.login_obstacle is not None),
        (r"/static/(freshet\.(?:css|js|svg)|(?:docs|status)\.(?:css|js))", StaticHandler, files),
        (r"/favicon\.ico", IconHandler, root),
        (r"/robots\.txt", RobotsHandler, {"path": pages.address.root, **root}),
        (r"/api/?", ApiRootHandler, root),
        *[(_pattern(kind.path), QueryHandler, {**served, "kind": kind}) for kind in KINDS.values()],
        (rf"/api/artists/{ANY_ID}/?", SingleHandler, {**served, "load": artist}),
        (rf"/api/albums/{ID}/?", SingleHandler, {**served, "load": album}),
        (r"/api/changes/?", ChangesHandler, {"database": admitted, **root}),
        (r"/api/events", EventsHandler, {"broadcast": broadcast, **root}),
        (r"/api/sync/?", SyncHandler, {**access, "syncer": syncer}),
        (r"/api/openapi\.json", OpenApiHandler, {**described, **root}),
        (r"/api/docs/?", DocsHandler, {**page, **described}),
        (r"/api/status", StatusHandler, {"read_status": read_status, **root}),
        *_of_owners(access, login, shown, own),
        (r"/problems/([a-z-]+)", ProblemHandler, page),
        (r"/metrics", MetricsHandler, {"metrics": metrics, **_of_metrics(settings), **root}),
        (r"/healthz", HealthHandler, root),
        (r"/readyz", ReadyHandler, {**served, "probe": probe, "lag": lag}),
        *(_of_the_demo(settings, page) if settings.demo else ()),
    ]


def _of_owners(
    access: dict[str, Any], login: dict[str, Any], shown: dict[str, Any], own: OwnArtists
) -> list[Any]:
    """Return the routes of owners' own artists; strangers get 401 for all of them alike."""
    listed = {**access, "my_releases": own.my_releases}
    chosen = {**access, "choices": own.choices}
    return [
        *_of_the_keys(access, login),
        *_of_owners_pages(shown, login, own),
        *[
            (_pattern(kind.path), MyListHandler, {**listed, "kind": kind})
            for kind in (*MY_LISTS, *MY_FEEDS)
        ],
        (
            r"/api/my/following/?",
            FollowingHandler,
            {**access, "artist_list": own.artist_list},
        ),
        (r"/api/my/import/?", ImportHandler, chosen),
        (rf"/api/my/watched/{ID}/?", ChoiceHandler, {**chosen, "choice": "watched"}),
        (rf"/api/my/ignored/{ID}/?", ChoiceHandler, {**chosen, "choice": "ignored"}),
    ]


def _of_owners_pages(shown: dict[str, Any], login: dict[str, Any], own: OwnArtists) -> list[Any]:
    """Return the page of an owner's artists, and what receives the buttons of all pages."""
    chosen = {**login, "choices": own.choices, "my_releases": own.my_releases}
    return [
        (r"/my/?", MyPageHandler, {**shown, "artist_list": own.artist_list}),
        (rf"/my/artists/{ID}/?", ChooseHandler, chosen),
        (r"/my/import/?", ImportPageHandler, chosen),
        (r"/my/refresh/?", RefreshHandler, {**login, "refresh": own.refresh_list}),
    ]


def _of_metrics(settings: Settings) -> dict[str, Any]:
    """Return who may read the metrics, as arguments of their handler."""
    key = settings.metrics_key
    return {
        "key": key.get_secret_value() if key else None,
        "proxies": TrustedProxies(settings.trusted_proxies),
    }


def _of_the_demo(settings: Settings, page: dict[str, Any]) -> list[Any]:
    """Return the routes of the demo: its setup guide, its covers, its links to Spotify."""
    from server.standin.artwork.covers import draw  # only the demo needs the stand-in

    root = {"root": settings.public_url}
    return [
        (r"/setup", SetupHandler, {**page, "redirect_uri": settings.redirect_uri}),
        (r"/demo/image/([0-9a-f]{40})", CoverHandler, {"draw": draw, **root}),
        (
            r"/demo/open/([a-z]+)/([0-9A-Za-z]+)",
            OpenHandler,
            {"target": settings.spotify_accounts_url, **root},
        ),
    ]


def unlisted(pages: Pages, login_service: LoginService, keys: AccessKeys) -> list[Any]:
    """Return what answers at private addresses without a route, after all routes."""
    login = {"login_service": login_service}
    return [
        (r"/my(?:/.*)?", NoPageHandler, {"pages": pages, **login}),
        (
            r"/(?:api|feeds)/my(?:/.*)?",
            NoRouteHandler,
            {"address": pages.address, "keys": keys, **login},
        ),
    ]


def not_found(pages: Pages) -> tuple[type[NotFoundHandler], dict[str, Any]]:
    """Return the handler of all other addresses, with its arguments."""
    return NotFoundHandler, {"pages": pages}


def make_pages(settings: Settings) -> Pages:
    """Build what all pages share."""
    address = PublicAddress(
        settings.public_url, obstacle=settings.login_obstacle, loopback=settings.loopback
    )
    return Pages(address, settings.spotify_api_url, demo=settings.demo)


def _of_the_login(login: dict[str, Any], *, by_hand: bool) -> list[Any]:
    """Return the routes of the login; `by_hand` adds the form for a copied address."""
    return [
        (r"/auth/login/?", LoginHandler, login),
        (r"/auth/authorize/?", LoginHandler, login),
        (r"/auth/callback/?", CallbackHandler, login),
        *([(r"/auth/pasted/?", PastedHandler, login)] if by_hand else []),
        (r"/auth/logout/?", LogoutHandler, login),
        (r"/auth/disconnect/?", DisconnectHandler, login),
    ]


def _of_the_keys(access: dict[str, Any], login: dict[str, Any]) -> list[Any]:
    """Return the routes of access keys: the page, and the API."""
    pages = {**login, "keys": access["keys"]}
    return [
        (r"/my/keys/?", KeysPageHandler, pages),
        (rf"/my/keys/{NUMBER}/revoke/?", RevokeHandler, pages),
        (r"/api/my/keys/?", KeysHandler, access),
        (rf"/api/my/keys/{NUMBER}/?", KeyHandler, access),
    ]


def _pattern(path: str) -> str:
    """Return a path as a pattern, in which a final slash is optional."""
    return re.escape(path) + ("?" if path.endswith("/") else "")
