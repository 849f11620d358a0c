"""Indexes of trigrams, where the database has pg_trgm and lets this role use it

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Without them everything works; a search for rare words only has more and shorter pages.
STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX ix_albums_trigrams ON albums USING gin (folded_name gin_trgm_ops)",
    "CREATE INDEX ix_artists_trigrams ON artists USING gin (folded_name gin_trgm_ops)",
)


def upgrade() -> None:
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            for statement in STATEMENTS:
                connection.execute(sa.text(statement))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_artists_trigrams")
    op.execute("DROP INDEX IF EXISTS ix_albums_trigrams")
