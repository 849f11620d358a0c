"""What the preflight checks find."""

from sqlalchemy import URL

from server.database.executor import Database
from server.doctor import Finding
from server.doctor.database import of_database


async def finding(url: URL) -> Finding:
    database = Database(url)
    try:
        return await of_database(database)
    finally:
        database.close()
