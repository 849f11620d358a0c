"""Which source a sync takes; what was learnt of each is remembered, whatever follows."""

from datetime import datetime

import structlog

from server.catalog import runs
from server.catalog.sweeper import Sweeper
from server.database import Database
from server.errors import SpotifyError
from server.spotify.paging import SourceName
from server.spotify.sources import Choice
from server.spotify.verdicts import Verdict

log = structlog.get_logger()


async def choose(sweeper: Sweeper, database: Database, now: datetime, failures: int) -> Choice:
    """The source to sweep after so many failed syncs. Raises a SpotifyError or a DatabaseError.

    A last sync of another process that was not complete counts as one.
    """
    memory = await database.run(runs.load_memory)
    failures = max(failures, int(memory.outcome not in (None, "complete")))
    learnt: dict[SourceName, Verdict] = {}
    try:
        choice = await sweeper.choose(memory.verdicts, now, failures, learnt)
    except SpotifyError:
        await database.run(runs.keep_verdicts, learnt.items())
        raise
    await database.run(runs.keep_verdicts, learnt.items())
    if memory.source not in (None, choice.source):
        log.warning("source_changed", source=choice.source, old=memory.source, why=choice.why)
    return choice
