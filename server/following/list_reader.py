"""Reads the lists of followed artists from Spotify: daily, after a login, and on demand."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

import structlog

from server.database.executor import Database
from server.errors import DatabaseError, SpotifyError
from server.following import list_store
from server.spotify.api.client import SpotifyClient
from server.spotify.api.followed import PACE, FollowedWalk
from server.spotify.auth import token_store
from server.spotify.auth.token_provider import TokenProvider
from server.spotify.waiting import has_passed
from server.storage import following
from server.storage.following import ListState

EVERY = timedelta(days=1)
RETRY = timedelta(hours=1)  # after a failure
REFUSED = ("EndpointRestricted", "AppRefused", "UserRefused")  # failures that stay; tried daily
LOOK_AGAIN = timedelta(minutes=1)  # between two looks at what is due, unless something happens
REFRESH_AFTER = timedelta(minutes=1)  # between two reads that people ask for
RELOAD_AFTER = timedelta(seconds=10)  # for states that other processes have stored
SMALL = 10  # artists; a list of fewer may shrink to any length

log = structlog.get_logger()


class FollowedListReader:
    """Keeps the stored lists of accounts as Spotify has them.

    `scopes` are those that a login asks for; without any, no list is read, and stored ones are
    deleted. `allowed` are the accounts whose logins may be used, empty for all; each is asked with
    its own token. `states` are the lists' states, in memory for status requests. `pace` is the time
    between two pages in seconds.

    A list that is read in part only adds artists. So does one that has reasons to be doubted, until
    the next read has found the same artists: a wrong answer of Spotify unfollows no artist.
    """

    def __init__(
        self,
        client: SpotifyClient,
        tokens: TokenProvider,
        database: Database,
        scopes: Collection[str],
        allowed: Collection[str],
        now: Callable[[], datetime],
        origin: str = "",
        pace: float = PACE,
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._database = database
        self.scopes = scopes
        self._allowed = allowed
        self._now = now
        self._origin = origin
        self._pace = pace
        self.states: Mapping[str, ListState] = {}
        self._looked_at: datetime | None = None
        self._loaded_at: datetime | None = None
        self._tried: dict[str, datetime] = {}
        self._reading: set[str] = set()
        self._requested: set[str] = set()
        self._doubted: dict[str, int] = {}  # account → hash of the artists of a doubted read

    def wake(self) -> None:
        """Look at once what is due, because an account has logged in or a list has changed."""
        self._looked_at = self._loaded_at = None

    async def tick(self) -> None:
        """Read the lists that are due; the leader's job. Raises DatabaseError."""
        now = self._now()
        if not has_passed(self._looked_at, LOOK_AGAIN, now):
            return
        self._looked_at = now
        if not self.scopes:
            await self._database.run(list_store.forget_followed, self._origin)
            return
        accounts = await self._accounts()
        states = await self._database.run(following.list_states)
        for account_id, authorized_at in accounts.items():
            state = states.get(account_id, ListState())
            tried = self._tried.get(account_id)
            if is_due(state, authorized_at, now) and (
                authorized_at > (tried or authorized_at) or has_passed(tried, RETRY, now)
            ):
                await self._read(account_id)

    async def serve(self) -> None:
        """Read the lists that people asked this process for, and load the states of all.

        Raises DatabaseError.
        """
        for account_id in tuple(self._requested):
            self._requested.discard(account_id)
            await self._read(account_id)
        if has_passed(self._loaded_at, RELOAD_AFTER, self._now()):
            self._loaded_at = self._now()
            self.states = await self._database.run(following.list_states)

    async def refresh(self, account_id: str) -> bool:
        """Have an account's list read soon, in the background, and return True.

        Returns False if it was tried a minute ago, or if the account's login does not allow it.
        Raises DatabaseError.
        """
        if not self.scopes or account_id not in await self._accounts():
            return False
        state = (await self._database.run(following.list_states)).get(account_id, ListState())
        if not has_passed(state.tried_at, REFRESH_AFTER, self._now()):
            return False
        self._requested.add(account_id)
        return True

    async def _accounts(self) -> dict[str, datetime]:
        """Return the accounts whose lists may be read, each with the time of its login."""
        found: dict[str, datetime] = await self._database.run(
            token_store.accounts_with, self._allowed, self.scopes
        )
        return found

    async def _read(self, account_id: str) -> None:
        """Read and store one list; a failure is stored, too. Raises DatabaseError."""
        if account_id in self._reading:
            return
        self._reading.add(account_id)
        self._tried[account_id] = self._now()
        try:
            await self._walk(account_id)
        finally:
            self._reading.discard(account_id)
            self._loaded_at = None

    async def _walk(self, account_id: str) -> None:
        walk = FollowedWalk(self._client, self._tokens, account_id, self._pace)
        try:
            await walk.run()
        except DatabaseError:
            raise
        except Exception as error:
            if not isinstance(error, SpotifyError):
                log.exception("task_crashed", task="FollowedWalk.run")
            reason: str | None = f"{type(error).__name__}: {error}"
        else:
            reason = await self._doubt(account_id, walk)
        artists, run = list(walk.artists.items()), self._database.run
        told = {"account_id": account_id, "artists": len(artists), "calls": walk.calls}
        if reason is None:
            unfollowed = await run(
                list_store.record_followed, account_id, artists, self._now(), self._origin
            )
            log.info("followed_list_read", **told, unfollowed=unfollowed)
        else:
            failed = account_id, reason, self._now(), artists, self._origin
            await run(list_store.record_failure, *failed)
            log.warning("followed_list_failed", **told, reason=reason)

    async def _doubt(self, account_id: str, walk: FollowedWalk) -> str | None:
        """Return why a list may not be whole; None if nothing says so, or it was read so twice."""
        known = await self._database.run(list_store.count_followed, account_id)
        doubts = list(walk.doubts)
        if known >= SMALL and len(walk.artists) < known / 2:
            doubts.append(f"{len(walk.artists)} artists instead of {known}")
        same, before = hash(frozenset(walk.artists)), self._doubted.pop(account_id, None)
        if not doubts:
            return None
        self._doubted[account_id] = same
        return None if same == before else f"Incomplete: {', '.join(doubts)}"


def is_due(state: ListState, authorized_at: datetime, now: datetime) -> bool:
    """Return whether a list is to be read: never tried, a day ago, or before the last login.

    After a failure it is tried again sooner. A try in the future is of a clock put back since.
    """
    tried = state.tried_at
    if tried is None or tried < authorized_at <= now:
        return True
    kind = (state.error or "").partition(":")[0]
    return has_passed(tried, EVERY if not kind or kind in REFUSED else RETRY, now)
