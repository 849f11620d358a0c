"""What the preflight checks find."""

from sqlalchemy import URL

from server.database.executor import Database
from server.doctor import Finding
from server.doctor.database import of_database, of_search


async def finding(url: URL) -> Finding:
    database = Database(url)
    try:
        return await of_database(database)
    finally:
        database.close()


async def search_finding(url: URL) -> Finding | None:
    """What doctor says of the indexes of the search; None if they are there."""
    database = Database(url)
    database.connect()
    try:
        return await of_search(database)
    finally:
        database.close()
