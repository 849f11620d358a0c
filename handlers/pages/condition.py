"""The condition that pages show, read from the parts that know."""

from functools import partial

from handlers.pages.presenters.condition import Condition, condition_of
from server.serving.cache import PayloadCache
from server.sync.syncer import Syncer
from server.sync.upstream_status import Standing
from server.tasks import attempt_now


def read_condition(cache: PayloadCache, standing: Standing, syncer: Syncer) -> Condition:
    """Return the one condition of this server that pages show, from memory."""
    snapshot = cache.snapshot
    return condition_of(
        None if snapshot is None else snapshot.freshness,
        standing.memory,
        stale=snapshot is not None and cache.is_stale(snapshot),
        running=attempt_now(partial(syncer.runs_anywhere, standing), False),
        scheduled=syncer.schedule.interval > 0,
    )
