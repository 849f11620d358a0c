"""Limits of Spotify: counted calls, cooldowns, verdicts on sources, and indexes for look-ups

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = postgresql.TIMESTAMP(timezone=True)


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("window", MOMENT, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "window", name=op.f("pk_quota")),
    )
    op.create_table(
        "cooldowns",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("unnamed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_cooldowns")),
    )
    op.add_column("sources", sa.Column("newest", sa.Text(), nullable=True))
    op.add_column("sync_runs", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("listings", sa.Column("missed_since", MOMENT, nullable=True))
    op.create_index("ix_sync_runs_finished_at", "sync_runs", ["finished_at"])
    op.create_index(
        "ix_sync_runs_added", "sync_runs", ["finished_at"], postgresql_where=sa.text("added > 0")
    )
    op.create_index("ix_albums_last_seen_at", "albums", ["last_seen_at"])
    op.create_index("ix_artists_updated_at", "artists", ["updated_at"])
    op.create_index(
        "ix_artists_refreshed", "artists", [sa.literal_column("refreshed_at NULLS FIRST"), "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_artists_refreshed", table_name="artists")
    op.drop_index("ix_artists_updated_at", table_name="artists")
    op.drop_index("ix_albums_last_seen_at", table_name="albums")
    op.drop_index("ix_sync_runs_added", table_name="sync_runs")
    op.drop_index("ix_sync_runs_finished_at", table_name="sync_runs")
    op.drop_column("listings", "missed_since")
    op.drop_column("sync_runs", "why")
    op.drop_column("sources", "newest")
    op.drop_table("cooldowns")
    op.drop_table("quota")
