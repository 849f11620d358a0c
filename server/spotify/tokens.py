"""Access tokens for callers: the one in memory, or a renewed one that all of them share."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from server.spotify.renewal import AccessToken, Renewer


class TokenKeeper:
    """`access_token()` is all that callers know.

    A token survives restarts in the database. Spotify is asked for one only when there is none, it
    has run out, or a 401 said so; and then once, however many callers there are in however many
    processes: in this one they share a task, among processes the renewal holds a row.
    """

    def __init__(self, renewer: Renewer, now: Callable[[], datetime]) -> None:
        self._renewer = renewer
        self._now = now
        self._token: AccessToken | None = None
        self._rejected: str | None = None
        self._renewing: asyncio.Task[AccessToken] | None = None

    async def access_token(self) -> str:
        """A token that is good for another minute: a user's, or the app's own.

        Raises what `Accounts` raises but InvalidGrant: CredentialsRejected, SpotifyUnavailable,
        BadAnswer.
        """
        token = self._token
        if token is None or not token.is_fresh(self._now()):
            token = await asyncio.shield(self._renewal())
        return token.value

    def reject(self, value: str) -> None:
        """Do not use a token again that Spotify has refused with 401.

        The database is left alone: by now it may hold the one that another process has got.
        """
        if self._token is not None and self._token.value == value:
            self._token, self._rejected = None, value

    async def abandon(self, value: str, reason: str) -> bool:
        """Give up a login whose user Spotify does not serve; whether another token may do."""
        token = self._token
        if token is None or token.value != value or not token.of_user:
            return False
        await self._renewer.give_up(token.account_id, reason)
        self.forget()
        return True

    def forget(self) -> None:
        """Look into the database next time: a login has come, gone or died."""
        self._token = self._renewing = None

    async def stop(self, seconds: float) -> None:
        """Let a renewal that is under way end, for what it brings may be brought only once."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing], timeout=seconds)

    def _renewal(self) -> "asyncio.Task[AccessToken]":
        """The task that all callers wait for; none of them can cancel it."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renewer.renew(self._rejected))
            self._renewing.add_done_callback(self._renewed)
        return self._renewing

    def _renewed(self, task: "asyncio.Task[AccessToken]") -> None:
        failed = task.cancelled() or task.exception() is not None  # looked at, so never "lost"
        if self._renewing is task:  # else `forget` has made it void
            self._renewing = None
            self._token = None if failed else task.result()
