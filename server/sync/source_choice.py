"""Which source and markets a sync takes; what it learns of each is remembered."""

from datetime import datetime

import structlog

from server.database.executor import Database
from server.errors import SpotifyError
from server.spotify.api.markets import Markets
from server.spotify.api.sources import Choice
from server.spotify.api.sweeper import Progress, Sweeper
from server.spotify.sweep import Sweep
from server.spotify.types import SourceName, Verdict
from server.storage import sync_runs
from server.storage.sync_runs import SyncHistory

log = structlog.get_logger()


async def fetch(
    sweeper: Sweeper,
    database: Database,
    now: datetime,
    failures: int,
    progress: Progress | None,
) -> Sweep:
    """Sweep the source that is chosen after so many failed syncs.

    A page that fails later on makes the sweep partial. A last sync of another process that was not
    complete counts as failed. Raises a SpotifyError or a DatabaseError.
    """
    calls, history = sweeper.calls, await database.run(sync_runs.load_history)
    markets = sweeper.markets(history.markets, now)
    failures = max(failures, int(history.outcome not in (None, "complete")))
    try:
        choice = await _choose(sweeper, database, history, markets, now, failures)
        sweep = await sweeper.sweep(choice, markets, calls, progress)
    except SpotifyError:
        await _remember(database, markets)
        raise
    await _remember(database, markets)
    return sweep


async def _choose(
    sweeper: Sweeper,
    database: Database,
    history: SyncHistory,
    markets: Markets,
    now: datetime,
    failures: int,
) -> Choice:
    learnt: dict[SourceName, Verdict] = {}
    try:
        choice = await sweeper.choose(history.verdicts, now, failures, learnt, markets)
    except SpotifyError:
        await database.run(sync_runs.keep_verdicts, learnt.items())
        raise
    await database.run(sync_runs.keep_verdicts, learnt.items())
    if history.source not in (None, choice.source):
        log.warning("source_changed", source=choice.source, old=history.source, why=choice.why)
    return choice


async def _remember(database: Database, markets: Markets) -> None:
    """Keep what was learnt of markets, and log each that is refused now and was not, or was."""
    if not markets.learnt:
        return
    named = [(sync_runs.MARKET + market, verdict) for market, verdict in markets.learnt.items()]
    await database.run(sync_runs.keep_verdicts, named)
    for market, verdict in markets.learnt.items():
        if verdict.allowed and markets.were_refused(market):
            log.info("market_served", market=market)
        elif not verdict.allowed and not markets.were_refused(market):
            log.warning("market_refused", market=market, reason=verdict.reason)
