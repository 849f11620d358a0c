"""The mark of the last entry that was deleted from the journal

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mark = sa.Column("mark", sa.Text(), server_default=sa.text("''"), nullable=False)
    op.add_column("journal_floor", mark)


def downgrade() -> None:
    op.drop_column("journal_floor", "mark")
