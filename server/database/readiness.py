"""Whether this process is ready to serve, and if not, why – in words that anybody may read."""

import asyncio
from typing import Any

import structlog
from sqlalchemy.orm import Session

from server.database import schema
from server.database.executor import Database
from server.database.supervisor import DatabaseSupervisor
from server.errors import DatabaseError, DatabaseUnsuitable, SchemaMismatch

SECONDS = 3.0

log = structlog.get_logger()


class DatabaseProbe:
    """Asks the database whether it answers with the right schema.

    However many callers there are, one question is under way at a time: a frozen database must not
    be met with ever more threads.
    """

    def __init__(self, database: Database, supervisor: DatabaseSupervisor) -> None:
        self._database = database
        self._supervisor = supervisor
        self._asking: asyncio.Task[Any] | None = None

    async def fault(self) -> str | None:
        """What is wrong, or None; after SECONDS at the latest."""
        if self._supervisor.refusal is not None:
            return self._supervisor.refusal
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._database.run(_check))
        try:
            await asyncio.wait_for(asyncio.shield(self._asking), SECONDS)
        except TimeoutError:
            return f"the database did not answer in {SECONDS:.0f} s"
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
