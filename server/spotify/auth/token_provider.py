"""Access tokens for callers: the one in memory, or one refresh that all callers share."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from server.errors import DatabaseError, TokenRejected
from server.spotify.auth.access_token import AccessToken
from server.spotify.auth.token_refresh import TokenRefresher

REMEMBERED = 8  # tokens that Spotify has refused
LIFETIME = timedelta(hours=1)  # of an access token


class TokenProvider:
    """Gives callers a valid access token.

    Tokens survive restarts in the database. Freshet requests a new one only if it has none, the
    token has expired, or a 401 said so; and then once for all callers: within this process they
    share a task, among processes the refresh holds a row lock.
    """

    def __init__(self, refresher: TokenRefresher, now: Callable[[], datetime]) -> None:
        self._refresher = refresher
        self._now = now
        self._token: AccessToken | None = None
        self._rejected: deque[str] = deque(maxlen=REMEMBERED)
        self._refreshing: asyncio.Task[AccessToken] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def access_token(self) -> str:
        """Return a token that is valid for another minute: a person's, or the app's own.

        Raises the errors of `Accounts.client_credentials`.
        """
        token = self._token
        if token is None or not token.is_fresh(self._now()):
            token = await asyncio.shield(self._refresh())
            if token.value in self._rejected:  # refused while the refresh was under way
                token = await asyncio.shield(self._refresh())
        return token.value

    def age(self) -> int | None:
        """Return the age in seconds of the token in memory; None if there is none.

        Source: developer.spotify.com/documentation/web-api/concepts/access-token (valid an hour).
        """
        if self._token is None:
            return None
        return max(round((self._now() - self._token.expires_at + LIFETIME).total_seconds()), 0)

    async def token_of(self, account_id: str) -> str:
        """Return a token of this very account, refreshed if need be.

        Raises TokenRejected if its login gives none, or the errors of `Accounts.refresh`.
        """
        rejected = tuple(self._rejected)
        refreshing = asyncio.create_task(self._refresher.refresh_account(account_id, rejected))
        self._tasks.add(refreshing)
        refreshing.add_done_callback(self._tasks.discard)
        token = await asyncio.shield(refreshing)
        if token is None:
            raise TokenRejected("the login gives no token", expired=False)
        return token.value

    def reject(self, value: str) -> None:
        """Stop using a token that Spotify has refused with 401.

        The database stays as it is: another process may have stored a newer token there.
        """
        self._rejected.append(value)
        if self._token is not None and self._token.value == value:
            self._token = None

    async def abandon(self, value: str, reason: str) -> bool:
        """Give up the login behind a token, whose user Spotify does not serve.

        Returns whether another token may help; that is not so if the app's own was refused.
        """
        token = self._token
        if token is not None and token.value == value:
            if not token.is_of_user:
                return False
            with suppress(DatabaseError):  # the token is not used again in any case
                await self._refresher.mark_consent_needed(token, reason)
            self.reject(value)
        return True

    def forget(self) -> None:
        """Read the token from the database next time, because a login has changed."""
        self._token = self._refreshing = None

    async def stop(self, seconds: float) -> None:
        """Wait up to `seconds` for refreshes, and store their grants, which come only once."""
        with suppress(TimeoutError, DatabaseError):
            async with asyncio.timeout(seconds):
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await self._refresher.save()

    def _refresh(self) -> "asyncio.Task[AccessToken]":
        """Return the task that all callers wait for, started if need be; none can cancel it."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresher.refresh(tuple(self._rejected)))
            self._tasks.add(self._refreshing)
            self._refreshing.add_done_callback(self._on_refreshed)
        return self._refreshing

    def _on_refreshed(self, task: "asyncio.Task[AccessToken]") -> None:
        self._tasks.discard(task)
        failed = (
            task.cancelled() or task.exception() is not None
        )  # read, so asyncio does not log it
        if self._refreshing is task:  # else `forget` has been called meanwhile
            self._refreshing = None
            self._token = None if failed or task.result().value in self._rejected else task.result()
