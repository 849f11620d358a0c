"""The latest sync by number, because times go back when a fast clock is corrected

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ADDED, CHANGED, BROUGHT = map(sa.text, ("added > 0", "changed", "outcome <> 'failed'"))


def upgrade() -> None:
    op.drop_index("ix_sync_runs_added", table_name="sync_runs")
    op.drop_index("ix_sync_runs_changed", table_name="sync_runs")
    op.create_index("ix_sync_runs_added", "sync_runs", ["id"], postgresql_where=ADDED)
    op.create_index("ix_sync_runs_changed", "sync_runs", ["id"], postgresql_where=CHANGED)
    op.create_index("ix_sync_runs_brought", "sync_runs", ["id"], postgresql_where=BROUGHT)
    op.create_index("ix_sync_runs_outcome_id", "sync_runs", ["outcome", "id"])


def downgrade() -> None:
    op.drop_index("ix_sync_runs_outcome_id", table_name="sync_runs")
    op.drop_index("ix_sync_runs_brought", table_name="sync_runs")
    op.drop_index("ix_sync_runs_changed", table_name="sync_runs")
    op.drop_index("ix_sync_runs_added", table_name="sync_runs")
    op.create_index("ix_sync_runs_changed", "sync_runs", ["finished_at"], postgresql_where=CHANGED)
    op.create_index("ix_sync_runs_added", "sync_runs", ["finished_at"], postgresql_where=ADDED)
