"""Whose turn it is: of all processes on one database, one syncs at a time."""

from server.database import advisory_lock
from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from server.errors import SchemaMismatch
from server.refusals import ServerOutdated, SyncRunning

CHANNEL = "freshet_turn"  # of NOTIFY: one has been taken, or has ended


async def take(database: Database, origin: str = "") -> SessionLock:
    """Our turn, to be kept and released; all processes are told, `origin` being ours.

    Raises NotOurTurn, or a DatabaseError.
    """
    turn = SessionLock(database, advisory_lock.SYNC, CHANNEL, origin)
    try:
        taken = await turn.take()
    except SchemaMismatch as error:
        await turn.release()
        raise ServerOutdated from error
    except BaseException:
        await turn.release()
        raise
    if not taken:
        await turn.release()
        raise SyncRunning
    return turn
