"""Who sends a private request: a browser with a session, or a program with an access key."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

from handlers.session import PublicAddress, SessionHandler
from server.errors import NotFound
from server.login.access_keys import PREFIX, SCOPES, AccessKeys
from server.login.key_store import Scope
from server.login.service import LoginService
from server.request_errors import KeyLacksScope, LoginRequired

READING = ("GET", "HEAD", "OPTIONS")
BEARER = "bearer "  # RFC 6750 section 2.1
IN_QUERY = re.compile("(?:^|&)key=([^&]*)")  # with an escape in its name, logs would not mask it
NOWHERE = "No private route has this address."
CHALLENGE = 'Bearer realm="Freshet"'
PRIVATE = {  # addresses of feeds have keys, which no other site may learn from a Referer
    "Cache-Control": "private, no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Caller:
    """For whom a request is: an account, or the server itself (None); and what it may do."""

    account_id: str | None
    scopes: frozenset[str]
    by: Literal["session", "key"]


class AccessHandler(SessionHandler):
    """Base of the private routes: no cache stores what it sends, and no other origin reads it.

    A handler calls `caller` before it looks at anything else of the request, so that strangers
    learn nothing from the answer or its time.
    """

    caching = PRIVATE["Cache-Control"]

    def initialize(  # type: ignore[override]
        self, address: PublicAddress, login_service: LoginService, keys: AccessKeys
    ) -> None:
        """Take the login and the keys from the routes."""
        super().initialize(address)
        self._login_service, self._keys = login_service, keys

    def set_default_headers(self) -> None:
        """Set the headers that keep private answers private."""
        super().set_default_headers()
        self.set_all(PRIVATE)

    def prepare(self) -> Awaitable[None] | None:
        """Bind the request's id, so that log events of what the request causes carry it."""
        _ = self.request_id
        return None

    async def caller(self, scope: Scope, *, in_query: bool = False) -> Caller:
        """Return who sent the request. `in_query` also accepts `?key=`, for feeds and calendars.

        A key sent wins over a session. Raises LoginRequired for a stranger, KeyLacksScope for a key
        without `scope`, ForeignOrigin for a session's write by another site's page, Overloaded or a
        DatabaseError.
        """
        key = self._sent_key(in_query=in_query)
        if key is not None:
            owner = await self._keys.find(key)
            if owner is None:
                raise LoginRequired
            if scope not in owner.scopes:
                raise KeyLacksScope(scope)
            return Caller(owner.account_id, owner.scopes, "key")
        visitor = await self._login_service.visitor(self.session_token)
        if visitor is None:
            raise LoginRequired
        if self.request.method not in READING:
            self.refuse_foreign_posts()
        return Caller(visitor.account_id, frozenset(SCOPES), "session")

    def _sent_key(self, *, in_query: bool) -> str | None:
        """Return the key that the request carries, None without one.

        A token that is no key is not meant for Freshet: a proxy that asks for a login adds it.
        """
        header = self.request.headers.get("Authorization", "")
        token = header[len(BEARER) :].strip()
        if header[: len(BEARER)].lower() == BEARER and token.startswith(PREFIX):
            return token
        given = IN_QUERY.findall(self.request.query) if in_query else []
        return unquote(given[-1]) if given else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem, which says how to authenticate (RFC 9110, RFC 6750)."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, LoginRequired):
            self.set_header("WWW-Authenticate", CHALLENGE)
            self.add_header("WWW-Authenticate", self.login_challenge())
        if isinstance(error, KeyLacksScope):
            needed = f'{CHALLENGE}, error="insufficient_scope", scope="{error.scope}"'
            self.set_header("WWW-Authenticate", needed)
        super().write_error(status_code, **kwargs)


class OwnerHandler(AccessHandler):
    """Base of what belongs to an owner: everything needs a session or a key.

    Strangers get the same 401, whatever the path and the method: they learn nothing of what exists.
    Reading needs the scope `reading`, everything else `manage`. `by_query` accepts `?key=`.
    """

    reading: Scope = "read"
    by_query = False
    _caller: Caller | None = None

    async def prepare(self) -> None:
        """Find out who sent the request, before anything else of it is looked at.

        Raises what `caller` raises.
        """
        super().prepare()
        scope: Scope = self.reading if self.request.method in READING else "manage"
        self._caller = await self.caller(scope, in_query=self.by_query)

    @property
    def sender(self) -> Caller:
        """Who sent the request; known once `prepare` has returned."""
        assert self._caller is not None
        return self._caller

    @property
    def owner(self) -> str | None:
        """The account for which the request is; None is the server itself."""
        return self.sender.account_id

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem, for strangers also where the method is unknown."""
        if status_code == 405 and self._caller is None:
            kwargs["exc_info"] = (LoginRequired, LoginRequired(), None)
        super().write_error(status_code, **kwargs)


class NoRouteHandler(OwnerHandler):
    """Answers private addresses that do not exist; strangers get the 401 of those that do."""

    async def prepare(self) -> None:
        """Raise NotFound for a key or a session, else LoginRequired or ForeignOrigin."""
        self.by_query = self.request.path.startswith("/feeds/")
        await super().prepare()
        raise NotFound(NOWHERE)
