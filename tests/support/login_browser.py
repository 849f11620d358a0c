"""An HTTP client with a browser's cookie rules, which follows no redirects.

Source: RFC 6265bis section 5 (cookies); url.spec.whatwg.org (where a Location leads).
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
from sqlalchemy import text
from tornado.httpclient import HTTPResponse

from handlers.pages.base import APART
from server.app.application import Application
from server.config.addresses import origin_of
from server.standin import StandIn
from tests.support.clock import Clock
from tests.support.http_client import new_client
from tests.support.loops import Closing
from tests.support.ports import free_port
from tests.support.settings import MakeSettings
from tests.support.standins import StartStandIn
from tests.support.waiting import until

LONGEST_COOKIE = 4096  # characters of name and value; browsers drop what is longer
OWN = "own"
SAFE_HEADERS = {
    "Server": "Freshet",
    "Content-Type": "text/html; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    **APART,
}


@dataclass
class Cookie:
    """One cookie with its attributes; `born` orders cookies by age."""

    name: str
    value: str
    path: str
    secure: bool
    http_only: bool
    same_site: str | None
    expires_at: datetime | None
    born: int


class Browser:
    """Keeps cookies by host, whatever the port, and sends them whatever SameSite says.

    `reach` maps public addresses to real ones, as a proxy in front of the server would. `address`
    is where the browser comes from, as such a proxy says.
    """

    def __init__(
        self,
        home: str,
        now: Callable[[], datetime],
        reach: dict[str, str],
        address: str | None = None,
    ) -> None:
        self.home = home
        self.address = address
        self.jar: dict[tuple[str, str], Cookie] = {}
        self._now = now
        self._reach = reach
        self._births = count()
        self._http = new_client(max_clients=100)

    async def get(self, url: str, **headers: str) -> HTTPResponse:
        return await self.request("GET", url, **headers)

    async def post(
        self,
        url: str,
        form: dict[str, str] | None = None,
        origin: str | None = OWN,
        site: str | None = "same-origin",
    ) -> HTTPResponse:
        """Send a form, as a page of `origin` would; None leaves the header out."""
        target = urljoin(self.home, url)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if origin is not None:
            headers["Origin"] = origin_of(target) if origin == OWN else origin
        if site is not None:
            headers["Sec-Fetch-Site"] = site
        return await self.request("POST", target, urlencode(form or {}), **headers)

    async def request(
        self, method: str, url: str, body: str | None = None, **headers: str
    ) -> HTTPResponse:
        target = urljoin(self.home, url)
        host = urlsplit(target).netloc
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Host": host, **named}
        if self.address is not None:
            named.setdefault("X-Forwarded-For", self.address)
        if (cookies := self.cookie_header(target)) and "Cookie" not in named:
            named["Cookie"] = cookies
        response = await self._http.fetch(
            self._real(target),
            method=method,
            headers=named,
            body=body,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
        )
        for line in response.headers.get_list("Set-Cookie"):
            self.keep(target, line)
        return response

    def keep(self, url: str, line: str) -> None:
        """Accept or reject one Set-Cookie header as a browser does."""
        pair, *rest = line.split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        attributes = {
            key.strip().lower(): said.strip()
            for key, _, said in (part.partition("=") for part in rest)
        }
        address = urlsplit(url)
        secure = "secure" in attributes
        if len(name) + len(value) > LONGEST_COOKIE or (secure and address.scheme != "https"):
            return
        bound = attributes.get("path") == "/" and "domain" not in attributes
        if name.lower().startswith("__host-") and not (secure and bound):
            return
        assert "domain" not in attributes, "no cookie of ours is for other hosts"
        key = (address.hostname or "", name)
        expires_at = self._end(attributes)
        if expires_at is not None and expires_at <= self._now():
            self.jar.pop(key, None)
            return
        self.jar[key] = Cookie(
            name=name,
            value=value,
            path=attributes.get("path", "/"),
            secure=secure,
            http_only="httponly" in attributes,
            same_site=attributes.get("samesite"),
            expires_at=expires_at,
            born=self.jar[key].born if key in self.jar else next(self._births),
        )

    def _end(self, attributes: dict[str, str]) -> datetime | None:
        if "max-age" in attributes:
            seconds = int(attributes["max-age"])
            return self._now() + timedelta(seconds=seconds) if seconds > 0 else self._now()
        if "expires" in attributes:
            return parsedate_to_datetime(attributes["expires"]).astimezone(UTC)
        return None

    def cookies(self, host: str | None = None) -> list[Cookie]:
        """Return the unexpired cookies of a host, oldest first."""
        host = host or urlsplit(self.home).hostname
        kept = [cookie for (owner, _), cookie in self.jar.items() if owner == host]
        alive = (each for each in kept if each.expires_at is None or each.expires_at > self._now())
        return sorted(alive, key=lambda cookie: cookie.born)

    def cookie_header(self, url: str) -> str:
        address = urlsplit(url)
        return "; ".join(
            f"{each.name}={each.value}"
            for each in self.cookies(address.hostname)
            if (address.path or "/").startswith(each.path)
            and (address.scheme == "https" or not each.secure)
        )

    @property
    def session(self) -> Cookie | None:
        """The cookie of the session, if there is one."""
        found = [each for each in self.cookies() if each.name.endswith("freshet_session")]
        return found[0] if found else None

    @property
    def attempts(self) -> list[Cookie]:
        """The cookies of logins that have begun."""
        return [each for each in self.cookies() if "freshet_login_" in each.name]

    async def begin(self, next_: str | None = None) -> str:
        """Start a login; returns the address of the consent page."""
        query = "" if next_ is None else "?" + urlencode({"next": next_})
        response = await self.get(f"{self.home}/auth/login/{query}")
        assert response.code == 302, response.body
        return response.headers["Location"]

    async def agree(self, consent_url: str, answer: str = "agree") -> str:
        """Answer on the stand-in's consent page; returns the address of the redirect."""
        response = await self.post(consent_url, {"answer": answer})
        assert response.code == 303, response.body
        return response.headers["Location"]

    async def log_in(self, next_: str | None = None) -> HTTPResponse:
        """Log in; returns the response to the callback."""
        return await self.get(await self.agree(await self.begin(next_)))

    def _real(self, url: str) -> str:
        for public, real in self._reach.items():
            if url.startswith(public):
                return real + url.removeprefix(public)
        return url

    def close(self) -> None:
        self._http.close()


@dataclass
class Stage:
    """A stand-in and a server on it, which share a clock."""

    standin: StandIn
    freshet: Application
    clock: Clock
    browsers: list[Browser] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The server as the world sees it."""
        return self.freshet.settings.public_url

    def browser(self, home: str | None = None, address: str | None = None) -> Browser:
        """A browser of its own, with no cookies yet."""
        real = f"http://127.0.0.1:{self.freshet.port}"
        reach = {self.url: real, home or self.url: real}
        browser = Browser(home or self.url, self.clock, reach, address)
        self.browsers.append(browser)
        return browser

    async def me(self) -> dict[str, Any]:
        """Return the profile that the server's token belongs to."""
        return await self.freshet.upstream.client("interactive").get("/me")

    async def all(self, sql: str) -> list[Any]:
        """Return the rows of a query as tuples, or as values if there is one column."""
        rows = await self.freshet.database.run(lambda session: session.execute(text(sql)).all())
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    async def execute(self, sql: str) -> None:
        await self.freshet.database.run(lambda session: session.execute(text(sql)))

    async def counts(self) -> dict[str, int]:
        """Return the number of rows of each table that can hold personal data."""
        tables = await self.all(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        counted = sorted(set(tables) - {"spent_states", "quota", "cooldowns", "ceilings"})
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in counted)
        (numbers,) = await self.all(f"SELECT {counts}")
        return dict(zip(counted, numbers, strict=True))

    def token_calls(self) -> int:
        return self.standin.calls_to("/api/token")


SetStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
def set_stage(
    make_settings: MakeSettings, start_standin: StartStandIn, closing: Closing, clock: Clock
) -> SetStage:
    """Start a server, ready for logins, on a stand-in that redirects to it."""

    async def make(standin: StandIn | None = None, **overrides: Any) -> Stage:
        standin = standin or start_standin([], clock=clock)
        settings = make_settings(standin, **{"port": free_port(), "sync_interval": 0, **overrides})
        standin.world.redirect_uris = (*standin.world.redirect_uris, settings.redirect_uri)
        freshet = Application(settings, now=clock)
        freshet.start()
        closing(freshet.stop)
        stage = Stage(standin, freshet, clock)

        async def close_browsers() -> None:
            for browser in stage.browsers:
                browser.close()

        closing(close_browsers)
        await until(lambda: freshet.timers.are_running)
        return stage

    return make


def read_page(response: HTTPResponse, status: int = 200) -> str:
    """Check the status and headers of a page; returns its HTML."""
    assert response.code == status, (response.code, response.body)
    is_private = urlsplit(response.request.url).path.startswith("/my")
    caching = {"Cache-Control": "private, no-store"} if is_private else {}
    for name, value in {**SAFE_HEADERS, **caching}.items():
        assert response.headers.get_list(name) == [value], name
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not [name for name in response.headers if name.startswith("Access-Control-")]
    return response.body.decode()


def parameters(url: str) -> dict[str, str]:
    """The query of an address, in which nothing is repeated."""
    query = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


def landing(base: str, location: str) -> str:
    """The address to which a browser goes that gets `location` from `base`."""
    target = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33)))))
    path, mark, rest = re.findall(r"(?s)^([^?#]*)([?#]?)(.*)", target)[0]
    path = path.replace("\\", "/")
    if with_scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):(/*)", path):
        scheme, slashes = with_scheme[1].lower(), with_scheme[2]
        if scheme not in ("http", "https"):
            return target
        if slashes or scheme != urlsplit(base).scheme:
            return f"{scheme}://{path[with_scheme.end() :]}{mark}{rest}"
        path = path[with_scheme.end() :]
    if path.startswith("//"):
        return f"{urlsplit(base).scheme}://{path.lstrip('/')}{mark}{rest}"
    return urljoin(base, f"{path}{mark}{rest}")
