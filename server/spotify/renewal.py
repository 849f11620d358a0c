"""Tokens renewed under a lock: the stored one, a user's by its refresh token, or the app's.

Source: developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens; RFC 6749 section 6.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy.orm import Session

from models import Login
from server.database import Database
from server.errors import DatabaseUnavailable, InvalidGrant, SpotifyTimeout, Unreadable
from server.keyring import Keyring
from server.spotify import logins
from server.spotify.oauth import Accounts, Grant
from server.spotify.profile import APP_PREFIX

EARLY = timedelta(seconds=60)
LONGEST_REQUEST = 30.0  # seconds; the transport gives up sooner
MEND_BY_ITSELF = "SECRET has changed; a new token is asked for"

P = ParamSpec("P")
T = TypeVar("T")
Ask = Callable[[Coroutine[Any, Any, Grant]], Grant]

log = structlog.get_logger()


@dataclass(frozen=True)
class AccessToken:
    """A bearer token, masked in `repr`, whose it is, and the time it runs out."""

    value: str = field(repr=False)
    account_id: str
    expires_at: datetime

    @property
    def of_user(self) -> bool:
        """Whether a person stands behind it, and not the app."""
        return not self.account_id.startswith(APP_PREFIX)

    def is_fresh(self, now: datetime) -> bool:
        """Whether it lasts for another minute at least."""
        return now < self.expires_at - EARLY


@dataclass(frozen=True)
class Arrival:
    """A grant on its way into a row, whose sealed refresh token `replaces` it came for."""

    grant: Grant
    token: AccessToken
    replaces: bytes | None


class Renewer:
    """Gets a token that is fresh. `renewals` counts those that Spotify gave, by kind of grant.

    While Spotify is asked, the login's row is locked, so that of all processes one asks and the
    others find its answer. A refresh token that Spotify no longer honours is marked and kept (it
    has been wrong about that before), and not tried again. `allowed` are the accounts whose logins
    may be used, empty for all.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        client_id: str,
        keyring: Keyring,
        allowed: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._app_id = APP_PREFIX + client_id
        self._keyring = keyring
        self._allowed = allowed
        self._now = now
        self._arrived: Arrival | None = None
        self.renewals: Counter[str] = Counter()

    async def renew(self, rejected: str | None) -> AccessToken:
        """The newest login's token, or the app's, but not `rejected`."""
        try:
            await self._save_arrival()
            for account_id in await self._database.run(logins.usable_accounts, self._allowed):
                token = await self._locked(self._of_user, account_id, rejected)
                if token is not None:
                    return token
            return await self._locked(self._of_app, self._app_id, rejected)
        except DatabaseUnavailable as error:
            log.warning("token_not_kept", reason=str(error))
            if self._arrived is not None and self._is_good(self._arrived.token, rejected):
                return self._arrived.token
            grant = await self._accounts.client_credentials()
            return self._arrival(self._app_id, grant, "client_credentials", None).token

    async def give_up(self, account_id: str, reason: str) -> None:
        """Mark a login as in need of a new consent."""
        await self._database.run(self._bury, account_id, reason)

    async def _locked(
        self, function: Callable[Concatenate[Session, Ask, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a function that may ask Spotify while it holds a row.

        It runs in one of the database's threads and waits there; the loop does the asking.
        """
        loop = asyncio.get_running_loop()

        def ask(request: Coroutine[Any, Any, Grant]) -> Grant:
            try:
                return asyncio.run_coroutine_threadsafe(request, loop).result(LONGEST_REQUEST)
            except FutureTimeout as error:
                raise SpotifyTimeout("the accounts service did not answer") from error

        token = await self._database.run(function, ask, *args, **kwargs)
        self._arrived = None
        return token

    def _of_user(
        self, session: Session, ask: Ask, account_id: str, rejected: str | None
    ) -> AccessToken | None:
        """A login's token, new if it must be; None if there is none to be had any more."""
        row = logins.lock(session, account_id)
        if row is None or row.state != logins.ACTIVE or row.refresh_token is None:
            return None  # ended while we waited for the lock
        if (token := self._stored(row, rejected)) is not None:
            return token
        try:
            grant = ask(self._accounts.refresh(self._keyring.open(row.refresh_token)))
        except Unreadable:
            log.error("token_unreadable", account_id=account_id, mend=logins.MEND)
            return None
        except InvalidGrant as error:
            self._bury(session, account_id, str(error))
            return None
        return self._keep(row, grant, "refresh_token")

    def _of_app(
        self, session: Session, ask: Ask, account_id: str, rejected: str | None
    ) -> AccessToken:
        """The app's own token, new if it must be."""
        row = logins.lock_app(session, account_id)
        if (token := self._stored(row, rejected)) is not None:
            return token
        return self._keep(row, ask(self._accounts.client_credentials()), "client_credentials")

    def _stored(self, row: Login, rejected: str | None) -> AccessToken | None:
        if row.access_token is None or row.expires_at is None:
            return None
        try:
            value = self._keyring.open(row.access_token)
        except Unreadable:
            log.warning("token_unreadable", account_id=row.account_id, mend=MEND_BY_ITSELF)
            return None
        token = AccessToken(value, row.account_id, row.expires_at)
        return token if self._is_good(token, rejected) else None

    def _is_good(self, token: AccessToken, rejected: str | None) -> bool:
        return token.value != rejected and token.is_fresh(self._now())

    def _keep(self, row: Login, grant: Grant, kind: str) -> AccessToken:
        self._arrived = self._arrival(row.account_id, grant, kind, row.refresh_token)
        token = self._arrived.token
        logins.keep_grant(row, grant, token.expires_at, self._keyring)
        return token

    def _arrival(self, account_id: str, grant: Grant, kind: str, replaces: bytes | None) -> Arrival:
        self.renewals[kind] += 1
        log.info("token_refreshed", grant=kind, expires_in=grant.expires_in)
        token = AccessToken(grant.access_token, account_id, self._now() + grant.lifetime)
        return Arrival(grant, token, replaces)

    def _bury(self, session: Session, account_id: str, reason: str) -> None:
        if logins.need_consent(session, account_id, reason):
            log.warning(
                "consent_needed", account_id=account_id, reason=reason, mend=logins.LOG_IN_AGAIN
            )

    async def _save_arrival(self) -> None:
        """Write down what could not be when it came; the refresh token before it may be void."""
        if self._arrived is not None:
            await self._database.run(self._write_arrival, self._arrived)
            self._arrived = None

    def _write_arrival(self, session: Session, arrival: Arrival) -> None:
        row = logins.lock(session, arrival.token.account_id)
        if row is not None and row.refresh_token == arrival.replaces:
            logins.keep_grant(row, arrival.grant, arrival.token.expires_at, self._keyring)
