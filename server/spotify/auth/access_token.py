"""A token on its way: one renewal, between the thread that holds the row and the loop that asks."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from server.errors import SpotifyTimeout
from server.spotify.auth.oauth import Grant
from server.spotify.profile import APP_PREFIX

EARLY = timedelta(seconds=60)  # so long before its end a token is no longer used
LONGEST_REQUEST = 30.0  # seconds; the transport gives up sooner


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
class IssuedToken:
    """A grant that has come, and the refresh token it came for."""

    grant: Grant
    token: AccessToken
    used: str | None = field(repr=False)


class TokenRequest:
    """Asks from a thread; `issued` is what came, `refusal` why Spotify gives nothing any more.

    Both outlive a transaction that cannot be committed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.issued: IssuedToken | None = None
        self.refusal: str | None = None

    def ask(self, request: Coroutine[Any, Any, Grant]) -> Grant:
        """Wait in this thread for what the loop does. Raises what the request raises."""
        asked = asyncio.run_coroutine_threadsafe(request, self._loop)
        try:
            return asked.result(LONGEST_REQUEST)
        except FutureTimeout as error:
            asked.cancel()  # or it might be sent later, and its grant be nobody's
            raise SpotifyTimeout("the accounts service did not answer") from error
