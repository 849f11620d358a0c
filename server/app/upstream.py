"""Builds what calls Spotify: accounts service, tokens, Web API, and the services that use them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from server.config.settings import Settings
from server.database import schema
from server.database.admission import Admission
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import DatabaseError
from server.login.service import LoginService
from server.spotify.api.artists import ArtistLookup
from server.spotify.api.client import SpotifyClient
from server.spotify.api.sweeper import Sweeper
from server.spotify.auth.oauth import Accounts
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.auth.token_refresh import TokenRefresher
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.proxy import Proxies
from server.spotify.transport import Transport
from server.spotify.types import Purpose
from server.sync.artist_details import ArtistDetailsFetcher
from server.sync.pacing import Pacing
from server.sync.report import Report, log_report
from server.sync.schedule import Schedule
from server.sync.syncer import Syncer

TOKEN_SECONDS = 8.0  # timeout of token requests, for which people wait
STOP_SECONDS = 2.0  # how long a stop waits for a token that is being refreshed


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class Upstream:
    """The parts that call Spotify, built once for a server or for a command.

    `scopes` are those that a login asks for, and `allowed` the accounts whose logins may be used.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        now: Callable[[], datetime],
        on_renewal: Callable[[str], None] = lambda grant: None,
        on_call: Callable[[str, int], None] = lambda bucket, status: None,
    ) -> None:
        client_id, secret = settings.client_id, settings.client_secret.get_secret_value()
        self.encryption = Encryption(settings.secret.get_secret_value(), "tokens")
        proxies = Proxies()
        self.transport = Transport(proxies=proxies)
        self.short_transport = Transport(
            TOKEN_SECONDS, proxies
        )  # so that no token waits for a slow page
        self.login_transport = Transport(
            TOKEN_SECONDS, proxies
        )  # so that no refresh waits for logins
        self.limiter = RateLimiter(database, client_id, settings.quota_per_day, now, on_call)
        accounts_url = settings.spotify_accounts_url
        self.accounts = Accounts(
            self.short_transport, self.limiter, accounts_url, client_id, secret
        )
        self.login_accounts = Accounts(
            self.login_transport, self.limiter, accounts_url, client_id, secret
        )
        self.refresher = TokenRefresher(
            database,
            self.accounts,
            client_id,
            self.encryption,
            settings.allowed_users,
            now,
            on_renewal,
        )
        self.tokens = TokenProvider(self.refresher, now)
        self._api_url = settings.spotify_api_url
        self.scopes, self.allowed = settings.scopes, settings.allowed_users

    def client(self, purpose: Purpose, transport: Transport | None = None) -> SpotifyClient:
        """Return a client of the Web API; `purpose` decides how much of the quota it may use."""
        transport = transport or self.transport
        return SpotifyClient(transport, self.tokens, self.limiter, self._api_url, purpose)

    async def save(self) -> None:
        """Store tokens and counts that came while the database was down. Raises DatabaseError."""
        try:
            await self.refresher.save()
        finally:
            await self.limiter.save()

    async def stop(self) -> None:
        """Wait for a running refresh, then close the connections."""
        await self.tokens.stop(STOP_SECONDS)
        with suppress(TimeoutError, DatabaseError):
            async with asyncio.timeout(STOP_SECONDS):
                await self.limiter.save()
        self.transport.close()
        self.short_transport.close()
        self.login_transport.close()


@asynccontextmanager
async def one_off(settings: Settings) -> AsyncIterator[tuple[Database, Upstream]]:
    """Yield a migrated database and what calls Spotify, for a command that runs once.

    Raises DatabaseError.
    """
    database = Database(settings.database_url)
    upstream = Upstream(settings, database, utc_now)
    try:
        database.connect()
        schema.create(database.engine)
        yield database, upstream
    finally:
        await upstream.stop()
        database.close()


async def announce_nothing() -> None:
    """Announce nothing: servers are notified through the database."""


def make_syncer(
    settings: Settings,
    database: Database,
    upstream: Upstream,
    announce: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
    *,
    origin: str = "",
    timer: Callable[[], float] = time.monotonic,
    count: Callable[[Report], None] = lambda report: None,
) -> Syncer:
    """Build the service that fetches new releases; `count` is called with each report."""

    def log_and_count(report: Report) -> None:
        log_report(report)
        count(report)

    def sweeper(purpose: Purpose) -> Sweeper:
        return Sweeper(
            upstream.client(purpose),
            setting=settings.sync_source,
            max_releases=settings.sync_max_releases,
            markets=settings.sync_markets,
        )

    return Syncer(
        {"background": sweeper("background"), "interactive": sweeper("interactive")},
        database,
        announce,
        pacing=make_pacing(settings, database, upstream, now),
        schedule=Schedule(settings.sync_interval, timer),
        setting=settings.sync_source,
        now=now,
        origin=origin,
        report_to=log_and_count,
    )


def make_pacing(
    settings: Settings, database: Database, upstream: Upstream, now: Callable[[], datetime]
) -> Pacing:
    """Build what decides the time between two syncs."""
    return Pacing(
        database,
        upstream.limiter,
        now,
        max_releases=settings.sync_max_releases,
        markets=settings.sync_markets,
    )


def make_details(
    database: Database,
    upstream: Upstream,
    syncer: Syncer,
    announce: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
    origin: str = "",
) -> ArtistDetailsFetcher:
    """Build the service that fetches artists' details while no sync runs."""
    lookup = ArtistLookup(upstream.client("background"), now)
    return ArtistDetailsFetcher(lookup, database, announce, lambda: syncer.is_running, now, origin)


def make_login_service(
    settings: Settings,
    database: Database,
    upstream: Upstream,
    on_change: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
    admission: Admission | None = None,
) -> LoginService:
    """Build the service that logs people in."""
    return LoginService(
        database,
        upstream.login_accounts,
        upstream.client("login", upstream.login_transport),
        tokens=upstream.encryption,
        cookies=Encryption(settings.secret.get_secret_value(), "cookies"),
        browsers=Encryption(settings.secret.get_secret_value(), "browsers"),
        redirect_uri=settings.redirect_uri,
        allowed=settings.allowed_users,
        scopes=settings.scopes,
        on_change=on_change,
        now=now,
        timer=time.monotonic,
        admission=admission,
    )
