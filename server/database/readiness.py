"""Readiness: whether this process can serve, and if not, why, in a text that may be public."""

import asyncio
from typing import Any

import structlog
from sqlalchemy.orm import Session

from server.database import schema
from server.database.executor import Database
from server.database.supervisor import DatabaseSupervisor
from server.errors import DatabaseError, DatabaseUnsuitable, SchemaMismatch

TIMEOUT_SECONDS = 3.0

log = structlog.get_logger()


class DatabaseProbe:
    """Checks whether the database answers and has the right schema.

    At most one query runs at a time, however many callers there are: a frozen database must not
    take up ever more threads.
    """

    def __init__(self, database: Database, supervisor: DatabaseSupervisor) -> None:
        self._database = database
        self._supervisor = supervisor
        self._probe: asyncio.Task[Any] | None = None

    async def fault(self) -> str | None:
        """Return what is wrong, or None; takes at most TIMEOUT_SECONDS."""
        if self._supervisor.refusal is not None:
            return self._supervisor.refusal
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._database.run(_check))
        try:
            await asyncio.wait_for(asyncio.shield(self._probe), TIMEOUT_SECONDS)
        except TimeoutError:
            return f"the database did not answer in {TIMEOUT_SECONDS:.0f} s"
        except (SchemaMismatch, DatabaseUnsuitable) as error:
            return str(error)
        except DatabaseError as error:
            log.warning("database_unavailable", reason=str(error))
            return error.title
        except Exception:
            log.exception("database_check_failed")
            return DatabaseError.title
        return None


def _check(session: Session) -> None:
    schema.check(session.connection())
