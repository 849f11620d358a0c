"""The login from its first click to its last: begin, finish, log out, disconnect."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

import structlog
from cachetools import TTLCache

from server.database import Database
from server.errors import DatabaseError, SpotifyError
from server.keyring import Keyring
from server.login import diagnosis, failures, store
from server.login.attempt import LIFE, SKEW, Attempt, local_path, seal, unseal
from server.login.callback import Callback
from server.login.failures import LoginFailed
from server.login.store import Visitor
from server.spotify import logins
from server.spotify.client import SpotifyClient
from server.spotify.consent import SCOPES, end_of_consent
from server.spotify.oauth import Accounts, Grant
from server.spotify.profile import Profile, read_profile

ANSWERS = 30  # logins that may end in ANSWER_SECONDS; people make fewer
ANSWER_SECONDS = 60
CHOOSE = "no other account may log in now; ALLOWED_USERS can name who may"
LONGEST_CODE = 2000  # characters

log = structlog.get_logger()


@dataclass(frozen=True)
class Begun:
    """Where to send the browser, and the cookie it has to bring back."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True)
class Admitted:
    """A login that has succeeded: the session's token, and the local path to go to."""

    session: str = field(repr=False)
    next: str


class LoginDesk:
    """`allowed` lists the accounts that may in; if it is empty, the first to log in owns all.

    `on_change` is awaited when a login has come or gone. `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        client: SpotifyClient,
        *,
        tokens: Keyring,
        cookies: Keyring,
        redirect_uri: str,
        allowed: Collection[str],
        on_change: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        timer: Callable[[], float],
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._client = client
        self._tokens = tokens
        self._cookies = cookies
        self.redirect_uri = redirect_uri
        self._allowed = allowed
        self._on_change = on_change
        self._now = now
        self._answered: TTLCache[str, None] = TTLCache(ANSWERS, ANSWER_SECONDS, timer)

    def begin(self, target: str) -> Begun:
        """A new login that is to end at the local path `target`. Touches no database."""
        attempt = Attempt(local_path(target), self._now())
        url = self._accounts.consent_url(
            self.redirect_uri, SCOPES, attempt.state, attempt.challenge
        )
        return Begun(url, attempt.state, seal(attempt, self._cookies))

    async def finish(
        self, callback: Callback, cookie: str | None, replaces: str | None = None
    ) -> Admitted:
        """Check what came back, exchange its code, see whose it is, and let them in.

        `replaces` is the browser's session until now. Raises LoginFailed, for each cause its own
        class, or DatabaseError.
        """
        try:
            attempt = await self._accepted(callback, cookie, replaces)
            grant, profile = await self._asked(callback, attempt)
            session = await self._admitted(profile, grant, replaces)
        except LoginFailed as failure:
            tell = log.info if failure.usual else log.warning
            tell("login_failed", cause=failure.kind, reason=str(failure) or None)
            raise
        return Admitted(session, attempt.next)

    async def _accepted(
        self, callback: Callback, cookie: str | None, session: str | None
    ) -> Attempt:
        """The attempt that this is the one and only answer to.

        There may be so many a minute, but those who are logged in are not kept out by strangers.
        """
        if callback.state is None:
            raise failures.StateMissing
        attempt = unseal(cookie, self._cookies) if cookie else None
        if attempt is None or not compare_digest(
            attempt.state.encode(), callback.state.encode("utf-8", "surrogatepass")
        ):
            raise failures.StateForeign
        now = self._now()
        if not attempt.is_timely(now):
            raise failures.StateExpired
        self._answered.expire()
        if attempt.state in self._answered:
            raise failures.StateReplayed
        if len(self._answered) >= ANSWERS and await self.visitor(session) is None:
            raise failures.TooManyLogins
        self._answered[attempt.state] = None
        try:
            spent = await self._database.run(store.spend, attempt.state, now, LIFE + 2 * SKEW)
        except DatabaseError:
            self._answered.pop(attempt.state, None)  # so that reloading the page is enough
            raise
        if not spent:
            raise failures.StateReplayed
        return attempt

    async def _asked(self, callback: Callback, attempt: Attempt) -> tuple[Grant, Profile]:
        """The tokens behind the code, and whose they are."""
        if callback.error is not None:
            raise diagnosis.of_callback(callback.error)
        if not callback.code or len(callback.code) > LONGEST_CODE:
            raise failures.CodeRefused("no code, or one that is too long")
        try:
            grant = await self._accounts.exchange(
                callback.code, attempt.verifier, self.redirect_uri
            )
            if grant.refresh_token is None:
                raise failures.SpotifyFailed("no refresh token for a code")
            return grant, read_profile(await self._client.get_as(grant.access_token, "/me"))
        except SpotifyError as error:
            raise diagnosis.of_answer(error) from error

    async def _admitted(self, profile: Profile, grant: Grant, replaces: str | None) -> str:
        now = self._now()
        admission = await self._database.run(
            store.admit, profile, grant, self._allowed, self._tokens, now, replaces
        )
        if admission is None:
            raise failures.NotAllowed(f"account {profile.key}")
        log.info("login_succeeded", account_id=profile.key, ends_at=end_of_consent(now))
        if admission.becomes_owner:
            log.warning("server_owned", account_id=profile.key, mend=CHOOSE)
        await self._on_change()
        return admission.session

    async def visitor(self, session: str | None) -> Visitor | None:
        """Who a session belongs to, if it is one."""
        return await self._find(session, self._allowed)

    async def _find(self, session: str | None, allowed: Collection[str]) -> Visitor | None:
        if not session:
            return None
        return await self._database.run(store.visitor, session, allowed, self._now())

    async def log_out(self, session: str | None) -> None:
        """End a session; that there was none is no error."""
        if session:
            await self._database.run(store.end_session, session)

    async def disconnect(self, session: str | None) -> None:
        """Delete the tokens and all else of the account that is logged in; the catalogue stays.

        Raises NotLoggedIn.
        """
        visitor = await self._find(session, ())  # also who is no longer listed
        if visitor is None:
            raise failures.NotLoggedIn
        await self._database.run(logins.forget, visitor.account_id)
        log.info("login_deleted", account_id=visitor.account_id)
        await self._on_change()
