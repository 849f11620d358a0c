"""Rate limiters for tests that are about something else."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import URL

from server.database.executor import Database
from server.spotify.auth.oauth import Accounts
from server.spotify.limits.rate_limiter import RateLimiter
from server.spotify.limits.usage_store import UsageStore
from server.spotify.transport import Transport
from server.standin import StandIn

APP = "standin-client"  # the client id of the stand-in's app
STORE = UsageStore(APP)


def real_now() -> datetime:
    return datetime.now(UTC)


def limiter_in_memory(
    now: Callable[[], datetime] = real_now, per_day: int = 1_000_000
) -> RateLimiter:
    """Return a limiter without a database, which counts in memory."""
    database = Database(URL.create("postgresql+psycopg2"))
    database.close()
    return RateLimiter(database, APP, per_day, now)


def accounts_of(
    standin: StandIn, transport: Transport, now: Callable[[], datetime] = real_now
) -> Accounts:
    """Return a client of a stand-in's accounts service."""
    limiter, url = limiter_in_memory(now), standin.accounts_url
    return Accounts(transport, limiter, url, standin.world.client_id, standin.world.client_secret)
