"""Everything that asks Spotify, wired: accounts service, tokens, Web API, and who uses them."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from server.catalog.sync import Syncer
from server.config import Settings
from server.database import Database
from server.keyring import Keyring
from server.login.desk import LoginDesk
from server.spotify.client import SpotifyClient
from server.spotify.oauth import Accounts
from server.spotify.renewal import Renewer
from server.spotify.tokens import TokenKeeper
from server.spotify.transport import Transport

TOKEN_SECONDS = 8.0  # a person waits for the answer
STOP_SECONDS = 2.0  # how long the end waits for a token that is being renewed


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Upstream:
    """The parts, made once; a server and each command that asks Spotify have one."""

    def __init__(self, settings: Settings, database: Database, now: Callable[[], datetime]) -> None:
        client_id, secret = settings.client_id, settings.client_secret.get_secret_value()
        self.keyring = Keyring(settings.secret.get_secret_value(), "tokens")
        self.transport = Transport()
        self.short_transport = Transport(TOKEN_SECONDS)  # no token waits behind a slow page
        self.accounts = Accounts(
            self.short_transport, settings.spotify_accounts_url, client_id, secret
        )
        self.renewer = Renewer(
            database, self.accounts, client_id, self.keyring, settings.allowed_users, now
        )
        self.tokens = TokenKeeper(self.renewer, now)
        api = settings.spotify_api_url
        self.client = SpotifyClient(self.transport, self.tokens, api, now)
        self.login_client = SpotifyClient(self.short_transport, self.tokens, api, now)

    async def stop(self) -> None:
        """Let a renewal end, then drop the connections."""
        await self.tokens.stop(STOP_SECONDS)
        self.transport.close()
        self.short_transport.close()


def make_syncer(
    settings: Settings,
    database: Database,
    upstream: Upstream,
    announce: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
    origin: str = "",
) -> Syncer:
    """The part that fetches new releases, as the settings want it."""
    return Syncer(
        upstream.client,
        database,
        announce,
        setting=settings.sync_source,
        max_releases=settings.sync_max_releases,
        interval=settings.sync_interval,
        now=now,
        origin=origin,
    )


def make_desk(
    settings: Settings,
    database: Database,
    upstream: Upstream,
    on_change: Callable[[], Awaitable[None]],
    now: Callable[[], datetime] = utc_now,
) -> LoginDesk:
    """The part that logs people in, as the settings want it."""
    return LoginDesk(
        database,
        upstream.accounts,
        upstream.login_client,
        tokens=upstream.keyring,
        cookies=Keyring(settings.secret.get_secret_value(), "cookies"),
        redirect_uri=settings.redirect_uri,
        allowed=settings.allowed_users,
        on_change=on_change,
        now=now,
        timer=time.monotonic,
    )
