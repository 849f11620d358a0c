"""The browser login: start it, complete it, log out, disconnect."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest

import structlog
from cachetools import TTLCache

from server.database.admission import Admission
from server.database.executor import Database
from server.encryption import Encryption
from server.errors import DatabaseError, SpotifyError
from server.login import error_mapping, errors, session_store
from server.login.attempt import HOME, LIFE, SKEW, Attempt, local_path, seal, unseal
from server.login.callback import Callback
from server.login.errors import LoginFailed
from server.login.login_budget import (
    KNOWN,
    PER_NETWORK,
    SECONDS,
    STRANGERS,
    LoginBudget,
    LoginLimit,
    known_account,
    seal_known,
)
from server.login.session_store import Visitor
from server.spotify.api.client import SpotifyClient
from server.spotify.auth import token_store
from server.spotify.auth.oauth import Accounts
from server.spotify.consent import end_of_consent
from server.spotify.limits.quota import unknown_browsers_bucket
from server.spotify.profile import Profile, read_profile
from server.spotify.types import Grant

ADMIT_OTHERS = "set ALLOWED_USERS to admit other accounts"
LONGEST_CODE = 2000  # characters
ME = "/me"

log = structlog.get_logger()


@dataclass(frozen=True)
class StartedLogin:
    """The URL of the consent page, the login's state, and the cookie that belongs to it."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True)
class CompletedLogin:
    """A successful login: the session's token, the path to go to, and the value of KNOWN_COOKIE."""

    session: str = field(repr=False)
    next: str
    known: str = field(repr=False)


class LoginService:
    """Runs logins. `allowed` lists the accounts that may log in; if empty, the first one owns all.

    `scopes` are those that Spotify is asked for; an empty list asks for the account's name alone.
    `tokens` encrypts stored tokens, `cookies` logins in progress, `browsers` the cookies of known
    browsers. `on_change` is awaited after a login is stored or deleted. `timer` is a monotonic
    clock in seconds.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        client: SpotifyClient,
        *,
        tokens: Encryption,
        cookies: Encryption,
        browsers: Encryption,
        redirect_uri: str,
        allowed: Collection[str],
        scopes: Sequence[str],
        on_change: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        timer: Callable[[], float],
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission()
        self._database = database
        self._accounts = accounts
        self._client = client
        self._tokens = tokens
        self._cookies = cookies
        self._browsers = browsers
        self.redirect_uri = redirect_uri
        self._allowed = allowed
        self.scopes = scopes
        self._on_change = on_change
        self._now = now
        self._budget = LoginBudget(timer)
        self._logged = LoginLimit(STRANGERS, PER_NETWORK, timer)
        self._answered: TTLCache[str, None] = TTLCache(STRANGERS + KNOWN, SECONDS, timer)

    def begin(self, target: str) -> StartedLogin:
        """Start a login that returns to the local path `target`, without any call or query."""
        attempt = Attempt(local_path(target), self._now())
        url = self._accounts.consent_url(
            self.redirect_uri, self.scopes, attempt.state, attempt.challenge
        )
        return StartedLogin(url, attempt.state, seal(attempt, self._cookies))

    def target(self, cookie: str | None) -> str:
        """Return the local path to which the login of a cookie returns; `/` without such a one."""
        attempt = unseal(cookie, self._cookies) if cookie else None
        return attempt.next if attempt else HOME

    async def finish(
        self,
        callback: Callback,
        cookie: str | None,
        replaces: str | None = None,
        *,
        known_by: str | None = None,
        network: str = "unknown",
    ) -> CompletedLogin:
        """Check the callback, exchange its code, read the profile, and open a session.

        `cookie` is the one that `begin` gave to this browser, `replaces` its current session,
        `known_by` the KNOWN_COOKIE of an earlier login, and `network` the client's network, whose
        limit applies to unknown browsers. Raises LoginFailed (a subclass for each cause) or a
        DatabaseError.
        """
        account, spent = known_account(known_by, self._now(), self._browsers), False
        try:
            attempt, code = self._checked(callback, cookie)
            await self._spend(attempt, network, account)
            spent = True
            grant, profile = await self._exchange(code, attempt, is_known=account is not None)
            session = await self._admit(profile, grant, replaces)
        except LoginFailed as failure:
            if spent or self._logged.take(network):  # strangers can cause any number
                self._log_failure(failure, network, is_known=account is not None)
            raise
        self._budget.give_back(network, account)
        return CompletedLogin(session, attempt.next, self.mark(profile.key))

    def mark(self, account_id: str) -> str:
        """Return the value of KNOWN_COOKIE for a browser of this account."""
        return seal_known(account_id, self._now(), self._browsers)

    def _log_failure(self, failure: LoginFailed, network: str, *, is_known: bool) -> None:
        write = log.info if failure.usual else log.warning
        reason = str(failure) or None
        write("login_failed", cause=failure.kind, client=network, known=is_known, reason=reason)

    def _checked(self, callback: Callback, cookie: str | None) -> tuple[Attempt, str]:
        """Return the login that this browser started and its code, without a call or a query."""
        if callback.state is None:
            raise errors.StateMissing
        attempt = unseal(cookie, self._cookies) if cookie else None
        if attempt is None or not compare_digest(
            attempt.state.encode(), callback.state.encode("utf-8", "surrogatepass")
        ):
            raise errors.StateForeign
        if not attempt.is_timely(self._now()):
            raise errors.StateExpired
        if callback.error is not None:
            raise error_mapping.of_callback(callback.error)
        if not callback.code or len(callback.code) > LONGEST_CODE:
            raise errors.CodeRefused("the code is missing or too long")
        return attempt, callback.code

    async def _spend(self, attempt: Attempt, network: str, account: str | None) -> None:
        """Mark a login as used. Raises StateReplayed, TooManyLogins or a DatabaseError."""
        self._answered.expire()
        if attempt.state in self._answered:
            raise errors.StateReplayed
        if not self._budget.take(network, account):
            raise errors.TooManyLogins(self._budget.strangers.reached(network, "logins"))
        self._answered[attempt.state] = None
        try:
            spent = await self._database.run(
                session_store.spend, attempt.state, self._now(), LIFE + 2 * SKEW
            )
        except DatabaseError:
            self._answered.pop(attempt.state, None)  # so that the user can reload the page
            raise
        if not spent:
            raise errors.StateReplayed

    async def _exchange(
        self, code: str, attempt: Attempt, *, is_known: bool
    ) -> tuple[Grant, Profile]:
        """Exchange the code for tokens, and read the profile of their account."""
        bucket = ME if is_known else unknown_browsers_bucket(ME)
        try:
            grant = await self._accounts.exchange(
                code, attempt.verifier, self.redirect_uri, known=is_known
            )
            if grant.refresh_token is None:
                raise errors.SpotifyFailed("the response to a code has no refresh token")
            if (
                grant.scopes is None
            ):  # RFC 6749 section 5.1: then they are those that were requested
                grant = replace(grant, scopes=tuple(self.scopes))
            answer = await self._client.get_as(grant.access_token, ME, bucket=bucket)
            return grant, read_profile(answer)
        except SpotifyError as error:
            raise error_mapping.of_spotify_error(error) from error

    async def _admit(self, profile: Profile, grant: Grant, replaces: str | None) -> str:
        now = self._now()
        admission = await self._database.run(
            session_store.admit, profile, grant, self._allowed, self._tokens, now, replaces
        )
        if admission is None:
            raise errors.NotAllowed(f"account {' or '.join(sorted(profile.names))}")
        log.info("login_succeeded", account_id=profile.key, ends_at=end_of_consent(now))
        if admission.becomes_owner:
            log.warning("server_owned", account_id=profile.key, hint=ADMIT_OTHERS)
        await self._on_change()
        return admission.session

    async def visitor(self, session: str | None) -> Visitor | None:
        """Return the account of a session; None without one. Raises Overloaded or DatabaseError."""
        return await self._find(session, self._allowed)

    async def _find(self, session: str | None, allowed: Collection[str]) -> Visitor | None:
        if not session:
            return None
        with self._admission.enter():
            return await self._database.run(session_store.visitor, session, allowed, self._now())

    async def log_out(self, session: str | None) -> None:
        """End a session; does nothing without one. Raises Overloaded or DatabaseError."""
        if session:
            with self._admission.enter():
                await self._database.run(session_store.end_session, session)

    async def disconnect(self, session: str | None) -> None:
        """Delete the tokens and all other data of the session's account; the catalogue stays.

        Raises NotLoggedIn, Overloaded or DatabaseError.
        """
        visitor = await self._find(session, ())  # also for accounts no longer in ALLOWED_USERS
        if visitor is None:
            raise errors.NotLoggedIn
        await self._database.run(token_store.delete_login, visitor.account_id)
        log.info("login_deleted", account_id=visitor.account_id)
        await self._on_change()
