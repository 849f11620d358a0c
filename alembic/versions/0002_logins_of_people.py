"""Logins: sessions, used OAuth states, and details of a consent

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("logins", sa.Column("user_id", sa.Text(), nullable=True))
    op.add_column("logins", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column(
        "logins", sa.Column("reminded_at", postgresql.TIMESTAMP(timezone=True), nullable=True)
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["logins.account_id"],
            name=op.f("fk_sessions_account_id_logins"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_account_id"), "sessions", ["account_id"])
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"])
    op.create_table(
        "spent_states",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("state_hash", name=op.f("pk_spent_states")),
    )
    op.create_index(op.f("ix_spent_states_expires_at"), "spent_states", ["expires_at"])


def downgrade() -> None:
    op.drop_table("spent_states")
    op.drop_table("sessions")
    op.drop_column("logins", "reminded_at")
    op.drop_column("logins", "reason")
    op.drop_column("logins", "user_id")
