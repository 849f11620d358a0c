"""Checks of Spotify: proxy, clock, credentials, sources, markets, quota and time between syncs."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from handlers.pages.presenters.formatting import duration
from server.app.upstream import Upstream, make_pacing
from server.config.settings import Settings
from server.database.executor import Database
from server.doctor.report import Finding
from server.errors import (
    AppRefused,
    CredentialsRejected,
    EndpointRestricted,
    MarketRefused,
    QuotaSpent,
    RateLimited,
    SpotifyError,
)
from server.login.errors import OwnerWithoutPremium
from server.spotify.limits.ceiling import DEVELOPMENT, starting
from server.spotify.limits.quota import used
from server.spotify.proxy import ProxyFailed
from server.spotify.types import ENDPOINTS, SourceName
from server.sync.pacing import Pacing

MOST_SKEW = timedelta(seconds=30)
WIDE = 2.5  # times SYNC_INTERVAL; a longer time between syncs is worth a note


async def clock(settings: Settings, upstream: Upstream, now: Callable[[], datetime]) -> Finding:
    """Compare this clock with the `Date` of a response (RFC 9110 section 6.6.1), in seconds."""
    before = now()
    try:
        answer = await upstream.short_transport.send("GET", f"{settings.spotify_accounts_url}/", {})
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC)  # naive if its zone is -0000
    except SpotifyError as error:
        addresses = "SPOTIFY_API_URL and SPOTIFY_ACCOUNTS_URL should be empty"
        fix = f"check this machine's internet connection; {addresses}"
        return Finding("fault", "Spotify", f"cannot be reached: {error}", fix)
    except ValueError:
        return Finding("note", "clock", "Spotify's response has no valid Date")
    ahead = before + (now() - before) / 2 - theirs
    side = "behind" if ahead < timedelta(0) else "ahead of"
    text = f"{duration(abs(ahead).total_seconds())} {side} Spotify's"
    if abs(ahead) > MOST_SKEW:
        return Finding("fault", "clock", text, "set it, or use NTP: timedatectl set-ntp true")
    return Finding("ok", "clock", text)


async def proxy(settings: Settings, upstream: Upstream) -> Finding | None:
    """Check the proxy to Spotify; None if the environment names none."""
    address = settings.spotify_accounts_url
    try:
        chosen = await upstream.short_transport.find_proxy(address)
    except ProxyFailed as error:
        fix = "correct the variable, or list Spotify's hosts in NO_PROXY if they need no proxy"
        return Finding("fault", "proxy", str(error), fix)
    if chosen is None:
        return None
    return Finding("ok", "proxy", f"{chosen} ({chosen.variable}) connects to Spotify")


async def credentials(settings: Settings, upstream: Upstream) -> AsyncIterator[Finding]:
    """Check the credentials, then the sources and the markets that this app may use."""
    try:
        grant = await upstream.accounts.client_credentials()
    except CredentialsRejected:
        text = "Spotify refuses this CLIENT_ID and CLIENT_SECRET"
        fix = f"compare them with {upstream.accounts.entry}"
        yield Finding("fault", "credentials", text, fix)
        return
    except SpotifyError as error:
        yield Finding("fault", "credentials", str(error), "try again later")
        return
    yield Finding("ok", "credentials", "Spotify accepts CLIENT_ID and CLIENT_SECRET")
    for source in ENDPOINTS:
        finding = await _source(settings, upstream, source, grant.access_token)
        yield finding
        if finding.level == "fault":
            return
    if finding.level == "ok" and settings.sync_source != "new-releases":
        async for of_market in _markets(settings.sync_markets, upstream, grant.access_token):
            yield of_market


async def _ask(upstream: Upstream, source: SourceName, token: str, **more: str) -> None:
    endpoint = ENDPOINTS[source]
    client = upstream.client("interactive")
    await client.get_as(token, endpoint.path, **endpoint.parameters, **more, limit=1)


async def _markets(
    markets: Sequence[str], upstream: Upstream, token: str
) -> AsyncIterator[Finding]:
    """Check which of SYNC_MARKETS Spotify serves, by one item of each."""
    served, refused = [], []
    for market in markets:
        try:
            await _ask(upstream, "search", token, market=market)
        except MarketRefused as error:
            refused.append(market)
            text = f"Spotify refuses it ({error}); syncs skip it, and try it again daily"
            yield Finding("note", f"market {market}", text, "remove it from SYNC_MARKETS")
        except SpotifyError as error:
            yield Finding("note", f"market {market}", f"{error}; further markets were not checked")
            return
        else:
            served.append(market)
    if served:
        yield Finding("ok", "markets", f"Spotify serves {', '.join(served)}")
    elif refused:
        text = (
            f"Spotify serves none of SYNC_MARKETS ({', '.join(refused)}), so search cannot be used"
        )
        fix = "correct SYNC_MARKETS, or leave it empty to search without a market"
        yield Finding("fault", "markets", text, fix)


async def _source(
    settings: Settings, upstream: Upstream, source: SourceName, token: str
) -> Finding:
    fix = f"check {upstream.accounts.entry}"
    try:
        await _ask(upstream, source, token)
    except RateLimited as error:
        text = f"Spotify asks for a pause of {duration(error.seconds)}; wait until it is over"
        return Finding("note", source, text)
    except QuotaSpent as error:
        text = f"{error}; calls are allowed again in {duration(error.seconds)}"
        return Finding("note", source, text, _more_calls(settings, upstream, source))
    except EndpointRestricted:
        if source == settings.sync_source == "new-releases":
            text = "not available to this app, and SYNC_SOURCE allows no other source"
            return Finding("fault", source, text, "set SYNC_SOURCE=auto")
        if source == "new-releases":
            text = "not available to this app (normal for new apps); using search"
            return Finding("note", source, text)
        return Finding("fault", source, "not available to this app", fix)
    except AppRefused as error:
        if "premium" in str(error).lower():
            return Finding("fault", source, OwnerWithoutPremium.title, OwnerWithoutPremium.advice)
        return Finding("fault", source, str(error), fix)
    except SpotifyError as error:
        return Finding("fault", source, str(error), "try again later")
    return Finding("ok", source, "available to this app")


def _more_calls(settings: Settings, upstream: Upstream, source: SourceName) -> str:
    """Return how a source gets more calls a day."""
    bucket, most = ENDPOINTS[source].path, settings.quota_per_day
    if upstream.limiter.limit(bucket, "interactive") < most:
        return "wait: its ceiling rises by a tenth after each week in which Spotify refuses no call"
    more = max(starting(bucket, DEVELOPMENT), most + most // 10)
    return f"wait, or raise QUOTA_PER_DAY (for example to {more}; Spotify's limits are not known)"


async def limits(
    settings: Settings, database: Database, upstream: Upstream, now: Callable[[], datetime]
) -> AsyncIterator[Finding]:
    """Report the quota used, the pauses, and the time between syncs that the quota allows."""
    usages = await database.run(upstream.limiter.store.read_all, now())
    budget, spent = upstream.limiter.budget, []
    for bucket, usage in usages.items():
        calls = f"{bucket} {used(usage.calls_by_hour, now())}"
        if budget.has_ceiling(bucket):
            calls += f" of {budget.calls_a_day(bucket, usage, now())}"
        if usage.ceiling and usage.ceiling.refused_at:
            at = f"{usage.ceiling.refused_at:%Y-%m-%d}"
            calls += f" (refused after {usage.ceiling.refused_calls} on {at})"
        spent.append(calls)
    yield Finding("ok", "quota", f"calls in the last 24 hours: {', '.join(spent) or 'none'}")
    for bucket, usage in usages.items():
        if usage.cooldown and (seconds := usage.cooldown.seconds_left(now())):
            until = now() + timedelta(seconds=seconds)
            text = f"{bucket} until {until:%Y-%m-%d %H:%M} UTC: {usage.cooldown.reason}"
            yield Finding("note", f"pause {bucket}", text, "wait: further calls could prolong it")
    yield await _pace(settings, make_pacing(settings, database, upstream, now))


async def _pace(settings: Settings, pace: Pacing) -> Finding:
    if not settings.sync_interval:
        text = (
            "SYNC_INTERVAL=0: this server syncs when asked to, and leaves to others what is done "
            "by the clock: syncs, checks of artists, followed lists, deletion of old data"
        )
        fix = "set SYNC_INTERVAL=1800, unless another server on this database has an interval"
        return Finding("note", "pace", text, fix)
    source: SourceName = "new-releases" if settings.sync_source == "new-releases" else "search"
    outlook = await pace.outlook(source)
    apart = max(settings.sync_interval, round(outlook.spacing))
    every = duration(apart)
    calls = f"a sync from {source} takes up to {outlook.calls} calls"
    text = f"{calls}; the quota allows one every {every}"
    if apart > WIDE * settings.sync_interval:
        fix = f"shorten SYNC_MARKETS, lower SYNC_MAX_RELEASES, or set SYNC_INTERVAL={apart}"
        return Finding("note", "pace", f"{text}, not every {duration(settings.sync_interval)}", fix)
    return Finding("ok", "pace", text)
