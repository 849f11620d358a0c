"""Followers and feeds: the release in each change, the journal's floor, significant changes

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# As `server.storage.changes` writes them from now on; null for deleted albums.
RELEASES = r"""
    UPDATE changes SET release = jsonb_build_object(
        'name', CASE WHEN length(a.name) > 200 THEN left(a.name, 199) || '…' ELSE a.name END,
        'artists', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'spotify_id', r.spotify_id,
                'name', CASE WHEN length(r.name) > 200 THEN left(r.name, 199) || '…'
                    ELSE r.name END
            ) ORDER BY c.position), '[]')
            FROM (
                SELECT artist_id, position FROM album_artists
                WHERE album_id = a.id ORDER BY position LIMIT 20
            ) c JOIN artists r ON r.id = c.artist_id
        ),
        'kind', CASE
            WHEN a.album_type IS DISTINCT FROM 'single' THEN a.album_type
            WHEN a.name {collation} ~ '(?<!\w\.)\mE\.?P\d*(?!\.?[[:alpha:]])' THEN 'ep'
            WHEN a.name {collation} ~* '\mep\W*$' THEN 'ep'
            WHEN a.total_tracks > 6 THEN 'album'
            WHEN a.total_tracks > 3 THEN 'ep'
            ELSE a.album_type
        END,
        'release_date', a.release_date,
        'url', CASE WHEN length(a.external_urls ->> 'spotify') <= 2000
            THEN a.external_urls ->> 'spotify' END,
        'image', (
            SELECT image ->> 'url' FROM jsonb_array_elements(a.images) WITH ORDINALITY
                AS images (image, place)
            WHERE length(image ->> 'url') <= 2000
            ORDER BY (image ->> 'width')::numeric >= 250 IS TRUE DESC,
                CASE WHEN (image ->> 'width')::numeric >= 250
                    THEN (image ->> 'width')::numeric END,
                place
            LIMIT 1
        )
    )
    FROM albums a WHERE a.spotify_id = changes.album
"""
# With the locale C, only ASCII characters are letters; the first of these collations that exists knows
# all of them.
COLLATIONS = sa.text(
    """
    SELECT collname FROM pg_collation
    WHERE collname IN ('pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8') AND pg_collation_is_visible(oid)
    ORDER BY array_position(ARRAY['pg_c_utf8', 'und-x-icu', 'C.utf8', 'C.UTF-8'], collname::text)
    LIMIT 1
    """
)
# Earlier deletions are unknown: entries below the oldest one may have been deleted.
FLOOR = sa.text(
    """
    INSERT INTO journal_floor (id, seq)
    SELECT 1, coalesce(
        (SELECT min(seq) - 1 FROM changes),
        pg_sequence_last_value(pg_get_serial_sequence('changes', 'seq')::regclass),
        0
    )
    """
)


def upgrade() -> None:
    op.add_column(
        "changes",
        sa.Column("release", postgresql.JSONB(astext_type=sa.Text())),
    )
    collation = op.get_bind().scalar(COLLATIONS)
    known = f'COLLATE "{collation}"' if collation else ""
    op.execute(sa.text(RELEASES.replace("{collation}", known)))
    op.create_table(
        "journal_floor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_floor")),
    )
    op.execute(FLOOR)
    op.add_column(
        "albums",
        sa.Column(
            "significant_at",
            postgresql.TIMESTAMP(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.execute(sa.text("UPDATE albums SET significant_at = updated_at"))


def downgrade() -> None:
    op.drop_column("albums", "significant_at")
    op.drop_table("journal_floor")
    op.drop_column("changes", "release")
