"""My artists: limits by client id, learnt ceilings, followed and chosen artists, checks, access keys

And indexes with which nothing but the disk grows with the number of releases.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = postgresql.TIMESTAMP(timezone=True)
TEXTS = postgresql.ARRAY(sa.Text())
# Rows of the time before client ids were stored have an empty one, until a server adopts them.
KEYS = {"quota": ("bucket", "window"), "cooldowns": ("bucket",), "sources": ("name",)}
# What several apps have left, as one: calls add up, the longest pause and the latest verdict stay.
MERGED = (
    """
    WITH gone AS (DELETE FROM quota RETURNING *)
    INSERT INTO quota (client_id, bucket, "window", calls)
    SELECT '', bucket, "window", sum(calls) FROM gone GROUP BY bucket, "window"
    """,
    """
    DELETE FROM cooldowns c USING cooldowns o WHERE c.bucket = o.bucket
    AND (o.until, o.client_id) > (c.until, c.client_id)
    """,
    """
    DELETE FROM sources s USING sources o WHERE s.name = o.name
    AND (o.probed_at, o.client_id) > (s.probed_at, s.client_id)
    """,
)


# Credits that changed left artists without any; those of deleted releases were deleted with these.
LONE = """
    DELETE FROM artists a WHERE NOT EXISTS (SELECT FROM album_artists c WHERE c.artist_id = a.id)
"""
SPAN = sa.text("tstzrange(LEAST(since, until), GREATEST(since, COALESCE(until, 'infinity')), '[]')")
GROWING = "albums", "artists", "album_artists", "listings", "changes"
VACUUMED = "autovacuum_vacuum_scale_factor", "autovacuum_analyze_scale_factor"
LAST_SEEN_ON = sa.Computed("CAST(timezone('UTC', last_seen_at) AS date)", persisted=True)


def account(*, nullable: bool = False) -> sa.Column[str]:
    """Return the column of the account that a row belongs to and is deleted with."""
    key = sa.ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE")
    return sa.Column("account_id", sa.Text(), key, nullable=nullable)


def upgrade() -> None:
    for table, columns in KEYS.items():
        op.add_column(
            table, sa.Column("client_id", sa.Text(), server_default=sa.text("''"), nullable=False)
        )
        op.drop_constraint(f"pk_{table}", table)
        op.create_primary_key(op.f(f"pk_{table}"), table, ["client_id", *columns])
    op.add_column(
        "quota", sa.Column("following", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "ceilings",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("per_day", sa.Integer(), nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("refused_at", MOMENT, nullable=True),
        sa.Column("refused_calls", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("client_id", "bucket", name=op.f("pk_ceilings")),
    )
    op.create_table(
        "followed_lists",
        account(),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_followed_lists")),
    )
    op.create_table(
        "followed_artists",
        account(),
        sa.Column("artist", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("followed_at", MOMENT, nullable=False),
        sa.Column("unfollowed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("account_id", "artist", name=op.f("pk_followed_artists")),
    )
    op.create_index("ix_followed_artists_artist", "followed_artists", ["artist"])
    op.create_table(
        "chosen_artists",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        account(nullable=True),
        sa.Column("artist", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("choice", sa.Text(), nullable=False),
        sa.Column("chosen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chosen_artists")),
    )
    op.create_index(
        "uq_chosen_artists_owner",
        "chosen_artists",
        [sa.text("coalesce(account_id, '')"), "artist"],
        unique=True,
    )
    op.create_index("ix_chosen_artists_artist", "chosen_artists", ["artist"])
    op.create_table(
        "artist_schedules",
        sa.Column("artist", sa.Text(), nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("next_check_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("interval_days", sa.Integer(), nullable=False),
        sa.Column("newest_release", sa.Text(), nullable=True),
        sa.Column("etags", postgresql.JSONB(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("searched_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("artist", name=op.f("pk_artist_schedules")),
    )
    op.create_index("ix_artist_schedules_next_check_at", "artist_schedules", ["next_check_at"])
    op.create_table(
        "artist_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("artist", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("not_modified", sa.Integer(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artist_checks")),
    )
    op.create_index("ix_artist_checks_at", "artist_checks", ["at"])
    op.create_index(
        "ix_artist_checks_changed", "artist_checks", ["at"], postgresql_where=sa.text("changed")
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        account(nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", TEXTS, nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("key_hash", postgresql.BYTEA(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_access_keys_key_hash")),
    )
    op.create_index("ix_access_keys_account_id", "access_keys", ["account_id"])
    op.drop_index("ix_albums_last_seen_at", table_name="albums")
    op.add_column("albums", sa.Column("last_seen_on", sa.Date(), LAST_SEEN_ON, nullable=False))
    op.create_index("ix_albums_last_seen_on", "albums", ["last_seen_on"])
    op.drop_index("ix_listings_since_until", table_name="listings")
    op.create_index("ix_listings_since", "listings", ["since"])
    op.create_index("ix_listings_span", "listings", [SPAN], postgresql_using="gist")
    op.create_index("ix_listings_album_id", "listings", ["album_id"])
    op.execute(sa.text(LONE))
    for table in GROWING:
        op.execute(sa.text(f"ALTER TABLE {table} SET ({' = 0.01, '.join(VACUUMED)} = 0.01)"))


def downgrade() -> None:
    for table in GROWING:
        op.execute(sa.text(f"ALTER TABLE {table} RESET ({', '.join(VACUUMED)})"))
    op.drop_index("ix_listings_album_id", table_name="listings")
    op.drop_index("ix_listings_span", table_name="listings")
    op.drop_index("ix_listings_since", table_name="listings")
    op.create_index("ix_listings_since_until", "listings", ["since", "until"])
    op.drop_index("ix_albums_last_seen_on", table_name="albums")
    op.drop_column("albums", "last_seen_on")
    op.create_index("ix_albums_last_seen_at", "albums", ["last_seen_at"])
    op.drop_table("access_keys")
    op.drop_table("artist_checks")
    op.drop_table("artist_schedules")
    op.drop_table("chosen_artists")
    op.drop_table("followed_artists")
    op.drop_table("followed_lists")
    op.drop_table("ceilings")
    for statement in MERGED:
        op.execute(sa.text(statement))
    for table, columns in KEYS.items():
        op.drop_constraint(f"pk_{table}", table)
        op.drop_column(table, "client_id")
        op.create_primary_key(op.f(f"pk_{table}"), table, list(columns))
    op.drop_column("quota", "following")
