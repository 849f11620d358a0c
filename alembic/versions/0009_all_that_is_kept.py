"""Everything kept can be read in every order: derived columns, their indexes, former states

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op
from server.storage.reading import derived

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = postgresql.TIMESTAMP(timezone=True)
SEEN_DAY = (
    "(extract(year FROM created_at AT TIME ZONE 'UTC') * 10000"
    " + extract(month FROM created_at AT TIME ZONE 'UTC') * 100"
    " + extract(day FROM created_at AT TIME ZONE 'UTC'))::text"
)
ANNOUNCED = f"replace(release_date, '-', '') > {SEEN_DAY}"
LATEST_FIRST = (
    sa.literal_column("release_date DESC NULLS LAST"),
    sa.literal_column("created_at DESC"),
    "position",
    "spotify_id",
)
NAME_FIRST = (sa.literal_column('"left"(folded_name, 100)'), "spotify_id")


def bytewise() -> sa.Text:
    return sa.Text(collation="C")


def upgrade() -> None:
    empty = sa.text("''")
    op.add_column(
        "albums", sa.Column("folded_name", bytewise(), server_default=empty, nullable=False)
    )
    op.add_column("albums", sa.Column("kind", sa.Text(), nullable=True))
    op.add_column("albums", sa.Column("work", sa.Text(), nullable=True))
    op.add_column(
        "albums", sa.Column("removed", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "artists", sa.Column("folded_name", bytewise(), server_default=empty, nullable=False)
    )
    derived.fill(op.get_bind())  # before the indexes are made, so that rows change in place
    _create_former()
    op.create_index("ix_albums_name", "albums", [*NAME_FIRST])
    op.create_index("ix_albums_work", "albums", ["work"])
    op.create_index(
        "ix_albums_announced", "albums", [*LATEST_FIRST], postgresql_where=sa.text(ANNOUNCED)
    )
    op.create_index("ix_artists_name", "artists", [*NAME_FIRST])
    op.create_index(
        "ix_album_artists_artist_id_album_id", "album_artists", ["artist_id", "album_id"]
    )
    op.drop_index("ix_album_artists_artist_id", table_name="album_artists")


def _create_former() -> None:
    op.create_table(
        "former_albums",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "album_id",
            sa.BigInteger(),
            sa.ForeignKey("albums.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("release_date", bytewise(), nullable=True),
        sa.Column("album_type", sa.Text(), nullable=True),
        sa.Column("available_markets", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("folded_name", bytewise(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("work", sa.Text(), nullable=True),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("artists", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_albums")),
    )
    op.create_table(
        "former_artists",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "artist_id",
            sa.BigInteger(),
            sa.ForeignKey("artists.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("folded_name", bytewise(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_former_artists")),
    )
    for table, key in (("former_albums", "album_id"), ("former_artists", "artist_id")):
        op.create_index(f"ix_{table}_{key}", table, [key])
        op.create_index(f"ix_{table}_changed_at", table, ["changed_at"])


def downgrade() -> None:
    op.create_index("ix_album_artists_artist_id", "album_artists", ["artist_id"])
    op.drop_index("ix_album_artists_artist_id_album_id", table_name="album_artists")
    op.drop_index("ix_artists_name", table_name="artists")
    for index in ("announced", "work", "name"):
        op.drop_index(f"ix_albums_{index}", table_name="albums")
    op.drop_table("former_artists")
    op.drop_table("former_albums")
    op.drop_column("artists", "folded_name")
    for column in ("removed", "work", "kind", "folded_name"):
        op.drop_column("albums", column)
