"""`manage.py doctor`: what is wrong, and how to mend it. Changes nothing.

It asks Spotify four times: for the time, for a token, and for one item of each source.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

from server import config, schema
from server.addresses import EmbeddedDatabase
from server.config import DatabaseSettings, Settings
from server.database import Database
from server.errors import (
    AppRefused,
    CredentialsRejected,
    DatabaseError,
    EndpointRestricted,
    RateLimited,
    SettingsError,
    SpotifyError,
)
from server.login.failures import DASHBOARD, OwnerWithoutPremium
from server.login.watch import ConsentWatch
from server.spotify.consent import REMIND_FROM, SCOPES, Consent
from server.spotify.logins import LOG_IN_AGAIN, MEND_KEYS
from server.spotify.paging import ENDPOINTS, SourceName
from server.upstream import Upstream, utc_now

RENEW = "log in again at /auth/login/"
MOST_SKEW = timedelta(seconds=30)


@dataclass(frozen=True)
class Finding:
    """One line of the report; only a fault makes the command fail."""

    level: Literal["ok", "note", "fault"]
    about: str
    text: str
    mend: str | None = None


async def examine(now: Callable[[], datetime] = utc_now) -> AsyncIterator[Finding]:
    """Look at everything, in the order in which it would go wrong."""
    try:
        settings: Settings | None = config.load(Settings)
    except SettingsError as error:
        settings = None
        for name, fault in error.faults.items():
            yield Finding("fault", name, fault)
    if settings is not None:
        yield Finding("ok", "settings", "all are there and understood")
        for finding in _addresses(settings):
            yield finding
    try:
        database = Database((settings or config.load(DatabaseSettings)).database_url)
    except SettingsError:
        return  # told already
    try:
        found = await _database(database)
        yield found
        if settings is not None:
            async for finding in _upstream(settings, database, now, found.level == "ok"):
                yield finding
    finally:
        database.close()


def _addresses(settings: Settings) -> list[Finding]:
    text = f"{settings.redirect_uri} (as the app's page at {DASHBOARD} has to name it)"
    findings = [Finding("ok", "redirect URI", text)]
    public = urlsplit(settings.public_url)
    if public.scheme == "http" and (public.port or 80) != settings.port:
        text = f"browsers come to port {public.port or 80}, the server listens on {settings.port}"
        mend = "set PUBLIC_URL and PORT alike, unless something between them translates"
        findings.append(Finding("note", "port", text, mend))
    return findings


async def _database(database: Database) -> Finding:
    address = database.address
    if isinstance(address, EmbeddedDatabase) and not address.directory.exists():
        return Finding("note", "database", f"{address} is not there yet; the first run makes it")
    try:
        await database.compute(database.connect)
        await database.run(lambda session: schema.check(session.connection()))
    except DatabaseError as error:
        mend = "is DATABASE_URL right, and does the server run?"
        return Finding("fault", "database", str(error), None if "create_db" in str(error) else mend)
    return Finding("ok", "database", f"answers, its schema is the newest ({schema.newest()})")


async def _upstream(
    settings: Settings, database: Database, now: Callable[[], datetime], database_answers: bool
) -> AsyncIterator[Finding]:
    upstream = Upstream(settings, database, now)
    try:
        reached = await _clock(settings, upstream, now)
        yield reached
        if reached.about == "clock":
            async for finding in _credentials(upstream):
                yield finding
        if database_answers:
            watch = ConsentWatch(database, upstream.keyring, settings.allowed_users, now)
            await watch.load()
            yield _login(watch.consent, now())
            yield _who_may_in(settings, watch.consent)
    finally:
        await upstream.stop()


async def _clock(settings: Settings, upstream: Upstream, now: Callable[[], datetime]) -> Finding:
    """Compare with the `Date` of any answer (RFC 9110 section 6.6.1), which has whole seconds."""
    before = now()
    try:
        answer = await upstream.short_transport.send("GET", f"{settings.spotify_accounts_url}/", {})
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
    except SpotifyError as error:
        mend = "can this machine reach the internet? Are SPOTIFY_… settings left empty?"
        return Finding("fault", "Spotify", f"cannot be reached: {error}", mend)
    except ValueError:
        return Finding("note", "clock", "Spotify did not say what time it is")
    ahead = before + (now() - before) / 2 - theirs
    side = "behind" if ahead < timedelta(0) else "ahead of"
    text = f"{abs(ahead).total_seconds():.0f} s {side} Spotify's"
    if abs(ahead) > MOST_SKEW:
        return Finding("fault", "clock", text, "set it, or let NTP: timedatectl set-ntp true")
    return Finding("ok", "clock", text)


async def _credentials(upstream: Upstream) -> AsyncIterator[Finding]:
    try:
        grant = await upstream.accounts.client_credentials()
    except CredentialsRejected:
        text = "Spotify does not know this CLIENT_ID and CLIENT_SECRET"
        mend = f"compare them with the app's page at {DASHBOARD}"
        yield Finding("fault", "credentials", text, mend)
        return
    except SpotifyError as error:
        yield Finding("fault", "credentials", str(error), "try again in a while")
        return
    yield Finding("ok", "credentials", "Spotify knows CLIENT_ID and CLIENT_SECRET")
    for source in ENDPOINTS:
        finding = await _source(upstream, source, grant.access_token)
        yield finding
        if finding.level == "fault":
            return


async def _source(upstream: Upstream, source: SourceName, token: str) -> Finding:
    endpoint = ENDPOINTS[source]
    try:
        await upstream.client("interactive").get_as(
            token, endpoint.path, **endpoint.parameters, limit=1
        )
    except RateLimited as error:
        return Finding(
            "note", source, f"Spotify asks for a pause of {error.seconds} s; wait it out"
        )
    except EndpointRestricted:
        if source == "new-releases":
            return Finding("note", source, "not for this app, as for nearly all; search is used")
        return Finding("fault", source, "not for this app", f"look at its page at {DASHBOARD}")
    except AppRefused as error:
        if "premium" in str(error).lower():
            return Finding("fault", source, OwnerWithoutPremium.title, OwnerWithoutPremium.advice)
        return Finding("fault", source, str(error), f"look at the app's page at {DASHBOARD}")
    except SpotifyError as error:
        return Finding("fault", source, str(error), "try again in a while")
    return Finding("ok", source, "this app may use it")


def _login(consent: Consent | None, now: datetime) -> Finding:
    if consent is None:
        text = "nobody has logged in; the app's own token does the syncing"
        return Finding("ok", "login", text)
    if consent.state == "unreadable":
        return Finding("fault", "login", "its tokens cannot be read", MEND_KEYS)
    if consent.has_ended(now):
        return Finding("note", "login", "Spotify no longer honours the consent", LOG_IN_AGAIN)
    missing = set(SCOPES) - set(consent.scopes)
    if missing:
        return Finding("note", "login", f"lacks the scope {', '.join(missing)}", RENEW)
    days = consent.days_left(now)
    text = f"consent of {consent.authorized_at:%Y-%m-%d}, good for {days} more days"
    if days <= REMIND_FROM:
        return Finding("note", "login", text, RENEW)
    return Finding("ok", "login", text)


def _who_may_in(settings: Settings, consent: Consent | None) -> Finding:
    if settings.allowed_users:
        return Finding("ok", "owner", f"ALLOWED_USERS lets in {', '.join(settings.allowed_users)}")
    if consent is None:
        text = "the first account to log in will own the server"
        return Finding("note", "owner", text, "set ALLOWED_USERS if others can reach it")
    return Finding("ok", "owner", f"{consent.account_id}, who has logged in; nobody else may")
