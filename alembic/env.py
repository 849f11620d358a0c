"""Runs the migrations, on the connection of `server.database.schema` or by hand on DATABASE_URL."""

from sqlalchemy import Connection

from alembic import context
from models import Base
from models.album import SEARCHED
from server.config import settings
from server.database.executor import open_engine


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether the migrations make it; the indexes of the search are made where possible."""
    return kind != "index" or name not in SEARCHED.values()


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, include_name=is_ours)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("Freshet's migrations need a database: run them without --sql")
given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with (
        open_engine(settings.load(settings.DatabaseSettings).database_url) as engine,
        engine.connect() as connection,
    ):
        migrate(connection)
        connection.commit()
