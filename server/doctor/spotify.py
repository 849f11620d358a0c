"""What Spotify says to us: the time, whether it knows us, what we may use and how much of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from handlers.pages.presenters.formatting import duration
from server.app.upstream import Upstream, make_pacing
from server.config.settings import Settings
from server.database.executor import Database
from server.doctor.finding import Finding
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
from server.spotify.limits import quota_store
from server.spotify.limits.quota import used
from server.spotify.proxy import ProxyFailed
from server.spotify.types import ENDPOINTS, SourceName
from server.sync.pacing import Pacing

MOST_SKEW = timedelta(seconds=30)
WIDE = 1.5  # times the interval that was asked for is worth a note


async def clock(settings: Settings, upstream: Upstream, now: Callable[[], datetime]) -> Finding:
    """Compare with the `Date` of any answer (RFC 9110 section 6.6.1), which has whole seconds."""
    before = now()
    try:
        answer = await upstream.short_transport.send("GET", f"{settings.spotify_accounts_url}/", {})
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC)  # naive where it says -0000
    except SpotifyError as error:
        mend = "can this machine reach the internet? Are SPOTIFY_… settings left empty?"
        return Finding("fault", "Spotify", f"cannot be reached: {error}", mend)
    except ValueError:
        return Finding("note", "clock", "Spotify did not say what time it is")
    ahead = before + (now() - before) / 2 - theirs
    side = "behind" if ahead < timedelta(0) else "ahead of"
    text = f"{duration(abs(ahead).total_seconds())} {side} Spotify's"
    if abs(ahead) > MOST_SKEW:
        return Finding("fault", "clock", text, "set it, or let NTP: timedatectl set-ntp true")
    return Finding("ok", "clock", text)


async def proxy(settings: Settings, upstream: Upstream) -> Finding | None:
    """Whether the proxy on the way to Spotify, if the environment names one, lets us through."""
    address = settings.spotify_accounts_url
    try:
        chosen = await upstream.short_transport.find_proxy(address)
    except ProxyFailed as error:
        mend = "correct the variable, or list Spotify's hosts in NO_PROXY if they need no proxy"
        return Finding("fault", "proxy", str(error), mend)
    if chosen is None:
        return None
    return Finding("ok", "proxy", f"{chosen} ({chosen.variable}) connects to Spotify")


async def credentials(settings: Settings, upstream: Upstream) -> AsyncIterator[Finding]:
    """Whether Spotify knows this app, which sources it may use, and in which markets."""
    try:
        grant = await upstream.accounts.client_credentials()
    except CredentialsRejected:
        text = "Spotify does not know this CLIENT_ID and CLIENT_SECRET"
        mend = f"compare them with {upstream.accounts.entry}"
        yield Finding("fault", "credentials", text, mend)
        return
    except SpotifyError as error:
        yield Finding("fault", "credentials", str(error), "try again in a while")
        return
    yield Finding("ok", "credentials", "Spotify knows CLIENT_ID and CLIENT_SECRET")
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
    """Which of SYNC_MARKETS Spotify serves; each is asked for one item."""
    served, refused = [], []
    for market in markets:
        try:
            await _ask(upstream, "search", token, market=market)
        except MarketRefused as error:
            refused.append(market)
            text = f"Spotify refuses it ({error}); syncs leave it out, and try it again daily"
            yield Finding("note", f"market {market}", text, "remove it from SYNC_MARKETS")
        except SpotifyError as error:
            yield Finding("note", f"market {market}", f"{error}; no further one was asked for")
            return
        else:
            served.append(market)
    if served:
        yield Finding("ok", "markets", f"Spotify serves {', '.join(served)}")
    elif refused:
        text = f"Spotify serves none of SYNC_MARKETS ({', '.join(refused)}), so search is no source"
        mend = "correct SYNC_MARKETS, or leave it empty to search without a market"
        yield Finding("fault", "markets", text, mend)


async def _source(
    settings: Settings, upstream: Upstream, source: SourceName, token: str
) -> Finding:
    advice = f"look at {upstream.accounts.entry}"
    try:
        await _ask(upstream, source, token)
    except RateLimited as error:
        text = f"Spotify asks for a pause of {duration(error.seconds)}; wait it out"
        return Finding("note", source, text)
    except QuotaSpent as error:
        text = f"{error}; there is room again in {duration(error.seconds)}"
        return Finding(
            "note", source, text, "wait, or raise QUOTA_PER_DAY (Spotify's is about 600)"
        )
    except EndpointRestricted:
        if source == settings.sync_source == "new-releases":
            text = "not for this app, and SYNC_SOURCE allows no other source"
            return Finding("fault", source, text, "set SYNC_SOURCE=auto")
        if source == "new-releases":
            return Finding("note", source, "not for this app, as for nearly all; search is used")
        return Finding("fault", source, "not for this app", advice)
    except AppRefused as error:
        if "premium" in str(error).lower():
            return Finding("fault", source, OwnerWithoutPremium.title, OwnerWithoutPremium.advice)
        return Finding("fault", source, str(error), advice)
    except SpotifyError as error:
        return Finding("fault", source, str(error), "try again in a while")
    return Finding("ok", source, "this app may use it")


async def limits(
    settings: Settings, database: Database, upstream: Upstream, now: Callable[[], datetime]
) -> AsyncIterator[Finding]:
    """What is left of the quota, what is paused, and how far apart syncs fit."""
    usages = await database.run(quota_store.read_all, now())
    most = upstream.limiter.allowance.per_day
    spent = [f"{bucket} {used(usage.windows, now())}" for bucket, usage in usages.items()]
    text = f"of {most} calls an endpoint, in the last 24 hours: {', '.join(spent) or 'none'}"
    yield Finding("ok", "quota", text)
    for bucket, usage in usages.items():
        if usage.pause and (seconds := usage.pause.seconds_left(now())):
            until = now() + timedelta(seconds=seconds)
            text = f"{bucket} until {until:%Y-%m-%d %H:%M} UTC: {usage.pause.reason}"
            yield Finding("note", f"pause {bucket}", text, "wait; asking on would prolong it")
    yield await _pace(settings, make_pacing(settings, database, upstream, now))


async def _pace(settings: Settings, pace: Pacing) -> Finding:
    source: SourceName = "new-releases" if settings.sync_source == "new-releases" else "search"
    outlook = await pace.outlook(source)
    apart = max(settings.sync_interval, round(outlook.spacing))
    every = duration(apart)
    text = f"a sync from {source} takes up to {outlook.calls} calls, so one fits every {every}"
    if settings.sync_interval and apart > WIDE * settings.sync_interval:
        mend = f"shorten SYNC_MARKETS, lower SYNC_MAX_RELEASES, or set SYNC_INTERVAL={apart}"
        return Finding(
            "note", "pace", f"{text}, not every {duration(settings.sync_interval)}", mend
        )
    return Finding("ok", "pace", text)
