"""How often an owner's artists are checked, read from the database."""

from datetime import datetime

from server.database.executor import Database
from server.following import rotation
from server.following.rotation import RotationOutlook
from server.storage import artist_checks, following


async def read_outlook(
    database: Database, account_id: str | None, calls_a_day: int, now: datetime
) -> RotationOutlook:
    """Read how often the artists of an account are checked; of all accounts if it is None.

    Raises DatabaseError.
    """
    mine = await database.run(following.read_mine, account_id)
    everyone = await database.run(following.wanted)
    schedules = await database.run(artist_checks.read_schedules, [*{**everyone, **mine.wanted}])
    return rotation.outlook(list(mine.wanted), schedules, calls_a_day, now)
