"""Refreshes tokens under a row lock: a person's with its refresh token, or the app's own.

Source: developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens; RFC 6749 section 6.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from models import Login
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import BadAnswer, DatabaseUnavailable, DecryptionFailed, InvalidGrant
from server.spotify.auth import token_store
from server.spotify.auth.access_token import AccessToken, IssuedToken, TokenRequest
from server.spotify.auth.oauth import Accounts
from server.spotify.auth.token_store import Transaction
from server.spotify.profile import APP_PREFIX
from server.spotify.types import Grant

REPLACED = "SECRET has changed; Freshet requests a new token"

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2  # refreshes, each of which occupies a thread of the database while it waits

log = structlog.get_logger()


class TokenRefresher:
    """Finds or requests a valid token. `renewals` counts Spotify's grants, by kind of grant.

    The login's row is locked during the request, so that one process makes it and the others find
    the stored token. A refresh token that Spotify no longer honours is marked and not used again,
    but stays stored, because such refusals have been mistaken. After an unexpected answer it is
    tried again next time; until then the token of another login is used, or the app's. `allowed`
    are the accounts whose logins may be used, empty for all; `on_renewal` is called with the kind
    of each grant.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        client_id: str,
        encryption: Encryption,
        allowed: Collection[str],
        now: Callable[[], datetime],
        on_renewal: Callable[[str], None] = lambda grant: None,
    ) -> None:
        self._on_renewal = on_renewal
        self._database = database
        self._accounts = accounts
        self._app_id = APP_PREFIX + client_id
        self._encryption = encryption
        self._allowed = allowed
        self._now = now
        self._unsaved: dict[str, IssuedToken] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.renewals: Counter[str] = Counter()

    async def refresh(self, rejected: Collection[str]) -> AccessToken:
        """Return the newest login's token, or the app's, but none of `rejected`.

        Runs AT_ONCE at a time, because each holds a database thread while it waits for Spotify, and
        needs another one to count the call. Raises the errors of `Accounts.client_credentials`.
        """
        async with self._slots:
            return await self._refresh(rejected)

    async def _refresh(self, rejected: Collection[str]) -> AccessToken:
        try:
            await self.save()
            for account_id in await self._database.run(token_store.usable_accounts, self._allowed):
                token = await self._locked(self._of_user, account_id, rejected)
                if token is not None:
                    return token
            return await self._locked(self._of_app, self._app_id, rejected)
        except DatabaseUnavailable as error:
            log.warning("token_not_kept", reason=str(error))
            for issued in self._unsaved.values():
                if self._is_good(issued.token, rejected):
                    return issued.token
            grant = await self._accounts.client_credentials()
            return self._issued(self._app_id, grant, "client_credentials")

    async def refresh_account(
        self, account_id: str, rejected: Collection[str]
    ) -> AccessToken | None:
        """Return a token of one login, but none of `rejected`; None if the login gives none.

        Raises the errors of `Accounts.refresh`, or a DatabaseError.
        """
        async with self._slots:
            await self.save()
            return await self._locked(self._of_user, account_id, rejected)

    async def mark_consent_needed(self, refused: AccessToken, reason: str) -> None:
        """Mark the login behind a token as in need of a new consent, unless it has a new one."""
        if await self._database.run(self._mark_consent_needed, refused, reason):
            _log_consent_needed(refused.account_id, reason)

    async def save(self) -> None:
        """Retry storing grants whose transaction failed; the refresh token before may be invalid.

        Raises DatabaseUnavailable; the grants then stay for the next time.
        """
        for account_id, issued in tuple(self._unsaved.items()):
            await self._database.run(self._write, issued)
            if self._unsaved.get(account_id) is issued:
                del self._unsaved[account_id]

    async def _locked(
        self,
        function: Callable[Concatenate[Transaction, TokenRequest, str, P], T],
        account_id: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function that may request a token while it holds the account's row."""
        token_request = TokenRequest()
        try:
            result = await self._database.run(function, token_request, account_id, *args, **kwargs)
        except Exception:  # whatever failed: the grant comes only once
            if token_request.issued is not None:
                self._unsaved[account_id] = token_request.issued
            raise
        if token_request.refusal is not None:
            _log_consent_needed(account_id, token_request.refusal)
        return result

    def _of_user(
        self,
        session: Transaction,
        token_request: TokenRequest,
        account_id: str,
        rejected: Collection[str],
    ) -> AccessToken | None:
        """Return a login's token, refreshed if necessary; None if the login gives none."""
        row = token_store.lock(session, account_id)
        if row is None or row.state != token_store.ACTIVE or row.refresh_token is None:
            return None  # the login ended while this waited for the lock
        if (token := self._stored(row, rejected)) is not None:
            return token
        try:
            refresh_token = self._encryption.open(row.refresh_token)
            grant = token_request.wait_for(self._accounts.refresh(refresh_token))
        except DecryptionFailed:
            log.error("token_unreadable", account_id=account_id, hint=token_store.SECRET_CHANGED)
            return None
        except InvalidGrant as error:
            token_store.mark_consent_needed(session, account_id, str(error), self._now())
            token_request.refusal = str(error)
            return None
        except BadAnswer as error:  # no verdict on the login, which is tried again next time
            log.warning("token_refresh_failed", account_id=account_id, reason=str(error))
            return None
        return self._store(token_request, row, grant, "refresh_token", refresh_token)

    def _of_app(
        self,
        session: Transaction,
        token_request: TokenRequest,
        account_id: str,
        rejected: Collection[str],
    ) -> AccessToken:
        """Return the app's own token, requested if necessary."""
        row = token_store.lock_app(session, account_id)
        if (token := self._stored(row, rejected)) is not None:
            return token
        grant = token_request.wait_for(self._accounts.client_credentials())
        return self._store(token_request, row, grant, "client_credentials", None)

    def _stored(self, row: Login, rejected: Collection[str]) -> AccessToken | None:
        if row.access_token is None or row.expires_at is None:
            return None
        try:
            value = self._encryption.open(row.access_token)
        except DecryptionFailed:
            if row.account_id == self._app_id:
                log.warning("token_unreadable", account_id=row.account_id, hint=REPLACED)
            return None
        token = AccessToken(value, row.account_id, row.expires_at)
        return token if self._is_good(token, rejected) else None

    def _is_good(self, token: AccessToken, rejected: Collection[str]) -> bool:
        return token.value not in rejected and token.is_fresh(self._now())

    def _store(
        self, token_request: TokenRequest, row: Login, grant: Grant, kind: str, used: str | None
    ) -> AccessToken:
        token = self._issued(row.account_id, grant, kind)
        token_request.issued = IssuedToken(grant, token, used)
        token_store.store_grant(row, grant, token.expires_at, self._encryption)
        return token

    def _issued(self, account_id: str, grant: Grant, kind: str) -> AccessToken:
        self.renewals[kind] += 1
        self._on_renewal(kind)
        log.info("token_refreshed", grant=kind, expires_in=grant.expires_in)
        return AccessToken(grant.access_token, account_id, self._now() + grant.lifetime)

    def _mark_consent_needed(self, session: Transaction, refused: AccessToken, reason: str) -> bool:
        row = token_store.lock(session, refused.account_id)
        if row is None or self._opened(row.access_token) != refused.value:
            return False
        return token_store.mark_consent_needed(session, refused.account_id, reason, self._now())

    def _write(self, session: Transaction, issued: IssuedToken) -> None:
        row = token_store.lock(session, issued.token.account_id)
        if row is not None and self._opened(row.refresh_token) == issued.used:
            token_store.store_grant(row, issued.grant, issued.token.expires_at, self._encryption)
            if issued.grant.refresh_token:  # a process that used the old one marked the login
                token_store.reactivate(session, row)

    def _opened(self, sealed: bytes | None) -> str | None:
        try:
            return None if sealed is None else self._encryption.open(sealed)
        except DecryptionFailed:
            return None


def _log_consent_needed(account_id: str, reason: str) -> None:
    log.warning(
        "consent_needed", account_id=account_id, reason=reason, hint=token_store.LOG_IN_AGAIN
    )
