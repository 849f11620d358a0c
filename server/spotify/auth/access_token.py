"""Access tokens, and a request for one by a database thread that the loop carries out."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.errors import SpotifyTimeout
from server.spotify.profile import APP_PREFIX
from server.spotify.types import Grant

EARLY = timedelta(seconds=60)  # before its end, when a token is no longer used
MAX_REQUEST_SECONDS = 30.0  # seconds; the transport times out sooner


@dataclass(frozen=True)
class AccessToken:
    """A bearer token, masked in `repr`, with the account it belongs to and its expiry."""

    value: str = field(repr=False)
    account_id: str
    expires_at: datetime

    @property
    def is_of_user(self) -> bool:
        """Whether the token belongs to a person, not to the app."""
        return not self.account_id.startswith(APP_PREFIX)

    def is_fresh(self, now: datetime) -> bool:
        """Whether the token is valid for at least another minute."""
        return now < self.expires_at - EARLY


@dataclass(frozen=True)
class IssuedToken:
    """A grant that Spotify has issued; `used` is the refresh token that was spent on it."""

    grant: Grant
    token: AccessToken
    used: str | None = field(repr=False)


class TokenRequest:
    """Requests a grant from a database thread.

    `issued` is the grant, `refusal` the reason why Spotify no longer honours the refresh token. The
    caller reads both even if the thread's transaction cannot be committed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.issued: IssuedToken | None = None
        self.refusal: str | None = None

    def wait_for(self, request: Coroutine[Any, Any, Grant]) -> Grant:
        """Run `request` on the loop and wait for it in this thread; raise what it raises.

        Raises SpotifyTimeout after MAX_REQUEST_SECONDS seconds.
        """
        future = asyncio.run_coroutine_threadsafe(request, self._loop)
        try:
            return future.result(MAX_REQUEST_SECONDS)
        except FutureTimeout as error:
            future.cancel()  # or it might be sent later, and its grant be lost
            raise SpotifyTimeout("the accounts service did not answer") from error
