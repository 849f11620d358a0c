"""Migrations by Alembic; imported only if there is something to migrate."""

from typing import Any

from alembic.config import Config
from sqlalchemy import Connection

from alembic import command
from server.config.addresses import ROOT


def alembic_config(**attributes: Any) -> Config:
    """Return Alembic's configuration, equal to the `[alembic]` section of setup.cfg.

    It is not read from there, because that file cannot name a folder whose path has a `%` or a `:`.
    """
    config = Config()
    config.set_main_option("script_location", str(ROOT / "alembic").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    return config


def upgrade(connection: Connection, revision: str) -> None:
    """Upgrade to `revision` from one that this program knows."""
    command.upgrade(alembic_config(connection=connection), revision)
