"""`/healthz` and `/readyz`: for supervisors and load balancers."""

import asyncio

from sqlalchemy.orm import Session

from handlers.base import BaseHandler
from server import schema
from server.catalog.cache import PayloadCache
from server.database import Database
from server.errors import FreshetError

READY_SECONDS = 3.0


class HealthHandler(BaseHandler):
    """Alive: the loop turns. Touches nothing else."""

    def get(self) -> None:
        """Say so."""
        self.write_json({"status": "ok"})

    head = get


class ReadyHandler(BaseHandler):
    """Ready: the database answers, its schema is current, and there is something to serve."""

    def initialize(self, database: Database, cache: PayloadCache) -> None:
        """Take what is asked from the wiring."""
        self._database = database
        self._cache = cache

    async def get(self) -> None:
        """200, or 503 with the reasons."""
        reasons = []
        try:
            await asyncio.wait_for(self._database.run(check), READY_SECONDS)
        except FreshetError as error:
            reasons.append(str(error))
        except TimeoutError:
            reasons.append(f"the database did not answer in {READY_SECONDS:.0f} s")
        snapshot = self._cache.snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            reasons.append("no sync has succeeded yet")
        status = "unready" if reasons else "ready"
        self.write_json({"status": status, "reasons": reasons}, 503 if reasons else 200)

    head = get


def check(session: Session) -> None:
    """Raise unless the schema is the one this program is written for."""
    schema.check(session.connection())
