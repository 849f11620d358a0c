"""Which releases are the same work in several versions, and which of them stands for all. Pure."""

from collections.abc import Hashable, Iterable

from server.catalog import titles
from server.catalog.snapshot import AlbumEntry, Edition

# A single or an EP named like an album came before it and is a work of its own.
SAME_KIND = {"compilation": "album"}
UNKNOWN_YEAR = "0000"  # as Spotify writes it at times


def recognise(
    artist_id: str, album_type: str | None, release_date: str | None, title: str
) -> Edition:
    """Tell which work a release is an edition of; `artist_id` is its first credit."""
    year = (release_date or UNKNOWN_YEAR)[:4]
    stripped = titles.strip(title)
    kind = SAME_KIND.get(album_type, album_type) if album_type else None
    return Edition((artist_id, kind, year, stripped.text), release_date, stripped.taken)


def fold(albums: Iterable[AlbumEntry]) -> list[AlbumEntry]:
    """One release for each work, in the place of its first, `albums` being latest first.

    It is the first, or the plainest of those that came out on the same day. What credits nobody is
    nobody's version.
    """
    kept: dict[Hashable, AlbumEntry] = {}
    for album in albums:
        if album.edition is None:
            kept[id(album)] = album
            continue
        rival = kept.setdefault(album.edition.work, album).edition
        if rival is not None and _is_plainer(album.edition, rival):
            kept[album.edition.work] = album
    return list(kept.values())


def _is_plainer(edition: Edition, rival: Edition) -> bool:
    return edition.release_date == rival.release_date and edition.taken < rival.taken
