"""Indexes that hold releases in the order in which they were first seen

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SEEN_FIRST = (sa.literal_column("created_at DESC"), "position", "spotify_id")


def upgrade() -> None:
    op.create_index("ix_albums_seen", "albums", [*SEEN_FIRST])
    op.create_index("ix_albums_seen_of_type", "albums", ["album_type", *SEEN_FIRST])


def downgrade() -> None:
    op.drop_index("ix_albums_seen_of_type", table_name="albums")
    op.drop_index("ix_albums_seen", table_name="albums")
