"""Access tokens: kept encrypted in the database, renewed only when they have to be."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import Login
from server.database import Database
from server.errors import DatabaseUnavailable
from server.spotify.oauth import Accounts

EARLY = timedelta(seconds=60)

log = structlog.get_logger()


@dataclass(frozen=True)
class AccessToken:
    """A bearer token, masked in `repr`, and the time it runs out."""

    value: str = field(repr=False)
    expires_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it lasts for another minute at least."""
        return now < self.expires_at - EARLY


def cipher(secret: str) -> MultiFernet:
    """Encrypts with the first key of a comma list, decrypts with any (Fernet: AES-CBC, HMAC)."""
    return MultiFernet(
        Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"freshet tokens " + key).digest()))
        for key in (part.strip().encode() for part in secret.split(","))
    )


class TokenKeeper:
    """The app's own token (client credentials). `access_token()` is all that callers know.

    A token survives restarts in the table `logins`; a process asks Spotify for one only when there
    is none, it has run out, or a 401 said so. Concurrent callers share one request.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        client_id: str,
        secret: str,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._account_id = f"app:{client_id}"
        self._cipher = cipher(secret)
        self._now = now
        self._token: AccessToken | None = None
        self._rejected: str | None = None
        self._one_at_a_time = asyncio.Lock()

    async def access_token(self) -> str:
        """A token that is good for another minute.

        Raises what `Accounts` raises: CredentialsRejected, SpotifyUnavailable, BadAnswer.
        """
        if self._token is None or not self._token.is_fresh(self._now()):
            async with self._one_at_a_time:
                if self._token is None or not self._token.is_fresh(self._now()):
                    self._token = await self._stored() or await self._renewed()
        return self._token.value

    def reject(self, value: str) -> None:
        """Do not use a token again that Spotify has refused with 401.

        The database is left alone: by now it may hold the one that another process has got.
        """
        if self._token is not None and self._token.value == value:
            self._token, self._rejected = None, value

    async def _stored(self) -> AccessToken | None:
        try:
            row = await self._database.run(_load, self._account_id)
        except DatabaseUnavailable:
            return None
        if row is None or row.access_token is None or row.expires_at is None:
            return None
        try:
            value = self._cipher.decrypt(row.access_token).decode()
        except InvalidToken:
            log.warning("token_unreadable", mend="SECRET has changed; a new token is asked for")
            return None
        token = AccessToken(value, row.expires_at)
        return token if value != self._rejected and token.is_fresh(self._now()) else None

    async def _renewed(self) -> AccessToken:
        grant = await self._accounts.client_credentials()
        token = AccessToken(grant.access_token, self._now() + timedelta(seconds=grant.expires_in))
        encrypted = self._cipher.encrypt(token.value.encode())
        try:
            await self._database.run(_keep, self._account_id, encrypted, token.expires_at)
        except DatabaseUnavailable as error:
            log.warning("token_not_kept", reason=str(error))
        log.info("token_refreshed", grant="client_credentials", expires_in=grant.expires_in)
        return token


def _load(session: Session, account_id: str) -> Login | None:
    return session.scalar(select(Login).where(Login.account_id == account_id))


def _keep(session: Session, account_id: str, token: bytes, expires_at: datetime) -> None:
    values = {"access_token": token, "expires_at": expires_at, "state": "active"}
    session.execute(
        insert(Login)
        .values(account_id=account_id, scopes=[], **values)
        .on_conflict_do_update(index_elements=[Login.account_id], set_=values)
    )
