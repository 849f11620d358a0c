"""Migrations by Alembic, which is loaded only where there is something to migrate."""

from typing import Any

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from alembic import command
from server.addresses import ROOT
from server.errors import SchemaMismatch


def alembic_config(**attributes: Any) -> Config:
    """Alembic's configuration, from the `[alembic]` section of setup.cfg."""
    config = Config(ROOT / "setup.cfg")
    config.attributes.update(attributes)
    return config


def upgrade(connection: Connection, revision: str, found: str | None) -> None:
    """Upgrade to `revision` from the one that was `found`.

    Raises SchemaMismatch if that is none of this program's.
    """
    try:
        command.upgrade(alembic_config(connection=connection), revision)
    except CommandError as error:
        raise SchemaMismatch(
            f"the database is at revision {found}, which this Freshet does not "
            "know: it was migrated by a newer one; upgrade this one"
        ) from error
