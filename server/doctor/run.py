"""Runs all checks, in the order in which the server needs what they check.

They change nothing but the count of calls. Spotify is asked for the time, for a token, and for one
item of each source and in each market of SYNC_MARKETS, except for what is paused.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from urllib.parse import urlsplit

from server.app.upstream import Upstream, utc_now
from server.config import settings as config
from server.config.addresses import entry_of_app, is_loopback
from server.config.settings import DatabaseSettings, Settings
from server.database.executor import Database
from server.doctor import login, spotify
from server.doctor.database import of_database, of_search
from server.doctor.report import Finding
from server.errors import AddressUnavailable, SettingsError
from server.http.connections.sockets import bind, is_local, split
from server.login.consent_monitor import ConsentMonitor
from server.spotify.auth import token_store


async def examine(now: Callable[[], datetime] = utc_now) -> AsyncIterator[Finding]:
    """Yield the findings of all checks."""
    try:
        settings: Settings | None = config.load(Settings)
    except SettingsError as error:
        settings = None
        for name, fault in error.faults.items():
            yield Finding("fault", name, fault)
    for remark in config.remarks(settings.database_url if settings else None):
        yield Finding("note", remark.about, remark.text, remark.fix)
    if settings is not None:
        yield Finding("ok", "settings", "complete and valid")
        for finding in _addresses(settings):
            yield finding
    try:
        database = Database((settings or config.load(DatabaseSettings)).database_url)
    except SettingsError:
        return  # reported already
    try:
        found = await of_database(database)
        yield found
        if found.level == "ok" and (search := await of_search(database)) is not None:
            yield search
        if settings is not None:
            async for finding in _upstream(settings, database, now, found.level == "ok"):
                yield finding
    finally:
        database.close()


def _addresses(settings: Settings) -> list[Finding]:
    entry = entry_of_app(settings.spotify_accounts_url)
    text = f"{settings.redirect_uri} (enter it exactly like this on {entry})"
    findings = [Finding("ok", "redirect URI", text)]
    if settings.login_obstacle:
        fix = "log in with `manage.py login`, or as /auth/login/ explains; or use https"
        findings.append(Finding("note", "browser login", f"off: {settings.login_obstacle}", fix))
    public = urlsplit(settings.public_url)
    findings += _reach(settings.host, public.scheme, public.hostname or "")
    if public.scheme == "http" and (public.port or 80) != settings.port:
        text = f"browsers use port {public.port or 80}, the server listens on {settings.port}"
        fix = "use the same port in PUBLIC_URL and PORT, unless a proxy translates between them"
        findings.append(Finding("note", "port", text, fix))
    return findings


def _reach(host: str, scheme: str, public: str) -> Iterator[Finding]:
    """Yield a note if `host` keeps out the devices to which PUBLIC_URL leads, or the reverse."""
    try:
        for each in bind(host, 0):
            each.close()
    except AddressUnavailable as error:
        yield Finding("fault", "HOST", str(error).replace(":0:", ":", 1))
        return
    closed, text = all(map(is_local, split(host))), ""
    if not closed and is_loopback(public):
        text = f"HOST {host} admits other devices, but links lead to {public}"
        fix = "set PUBLIC_URL to the address that other devices use, such as http://raspberrypi.local:5000"
    elif closed and scheme == "http" and not is_local(public):  # https has a proxy in front
        text = f"links lead to {public}, but HOST {host} admits only programs of this machine"
        fix = "set HOST=0.0.0.0, unless a proxy on this machine forwards requests"
    if text:
        yield Finding("note", "PUBLIC_URL", text, fix)


async def _upstream(
    settings: Settings, database: Database, now: Callable[[], datetime], database_answers: bool
) -> AsyncIterator[Finding]:
    upstream = Upstream(settings, database, now)
    try:
        if proxy := await spotify.proxy(settings, upstream):
            yield proxy
        reached = await spotify.clock(settings, upstream, now)
        yield reached
        if reached.about == "clock":
            async for finding in spotify.credentials(settings, upstream):
                yield finding
        if database_answers:
            watch = ConsentMonitor(database, upstream.encryption, settings.allowed_users, now)
            await watch.load()
            yield login.of_consent(watch.consent, now(), settings.scopes)
            mistaken = await database.run(token_store.mistaken_entries, settings.allowed_users)
            yield login.who_may_in(settings, watch.consent, mistaken)
            async for finding in spotify.limits(settings, database, upstream, now):
                yield finding
    finally:
        await upstream.stop()
