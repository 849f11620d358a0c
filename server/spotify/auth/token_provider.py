"""Access tokens for callers: the one in memory, or a renewed one that all of them share."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from server.errors import DatabaseError
from server.spotify.auth.access_token import AccessToken
from server.spotify.auth.token_refresh import TokenRefresher

REMEMBERED = 8  # tokens that Spotify has refused


class TokenProvider:
    """`access_token()` is all that callers know.

    A token survives restarts in the database. Spotify is asked for one only when there is none, it
    has run out, or a 401 said so; and then once, however many callers there are in however many
    processes: in this one they share a task, among processes the renewal holds a row.
    """

    def __init__(self, refresher: TokenRefresher, now: Callable[[], datetime]) -> None:
        self._refresher = refresher
        self._now = now
        self._token: AccessToken | None = None
        self._rejected: deque[str] = deque(maxlen=REMEMBERED)
        self._renewing: asyncio.Task[AccessToken] | None = None
        self._tasks: set[asyncio.Task[AccessToken]] = set()

    async def access_token(self) -> str:
        """A token that is good for another minute: a user's, or the app's own.

        Raises what `Accounts` raises for client credentials.
        """
        token = self._token
        if token is None or not token.is_fresh(self._now()):
            token = await asyncio.shield(self._renewal())
            if token.value in self._rejected:  # refused while the renewal was under way
                token = await asyncio.shield(self._renewal())
        return token.value

    def reject(self, value: str) -> None:
        """Do not use a token again that Spotify has refused with 401.

        The database is left alone: by now it may hold the one that another process has got.
        """
        self._rejected.append(value)
        if self._token is not None and self._token.value == value:
            self._token = None

    async def abandon(self, value: str, reason: str) -> bool:
        """Give up a login whose user Spotify does not serve; whether another token may do."""
        token = self._token
        if token is not None and token.value == value:
            if not token.of_user:
                return False
            with suppress(DatabaseError):  # it is not used again in any case
                await self._refresher.mark_consent_needed(token, reason)
            self.reject(value)
        return True

    def forget(self) -> None:
        """Look into the database next time: a login has come, gone or died."""
        self._token = self._renewing = None

    async def stop(self, seconds: float) -> None:
        """Let renewals end and write down what they brought, which may be brought only once."""
        with suppress(TimeoutError, DatabaseError):
            async with asyncio.timeout(seconds):
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await self._refresher.save()

    def _renewal(self) -> "asyncio.Task[AccessToken]":
        """The task that all callers wait for; none of them can cancel it."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._refresher.renew(tuple(self._rejected)))
            self._tasks.add(self._renewing)
            self._renewing.add_done_callback(self._renewed)
        return self._renewing

    def _renewed(self, task: "asyncio.Task[AccessToken]") -> None:
        self._tasks.discard(task)
        failed = task.cancelled() or task.exception() is not None  # looked at, so never "lost"
        if self._renewing is task:  # else `forget` has made it void
            self._renewing = None
            self._token = None if failed or task.result().value in self._rejected else task.result()
