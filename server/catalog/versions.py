"""Finds the versions of the same work, and the one to list for all of them. Pure."""

import hashlib
from collections.abc import Hashable, Iterable

import orjson

from server.catalog import titles
from server.catalog.snapshot import AlbumEntry, Edition

# A single or an EP with the name of an album is a separate work.
SAME_KIND = {"compilation": "album"}
UNKNOWN_YEAR = "0000"  # as Spotify sometimes writes it
WORK_BYTES = 8


def recognise(
    artist_id: str, album_type: str | None, release_date: str | None, title: str
) -> Edition:
    """Return the work that a release is an edition of; `artist_id` is its first credit.

    Versions of a work share the artist, the type, the year and the stripped title.
    """
    year = (release_date or UNKNOWN_YEAR)[:4]
    stripped = titles.strip(title)
    kind = SAME_KIND.get(album_type, album_type) if album_type else None
    shared = orjson.dumps((artist_id, kind, year, stripped.text))
    work = hashlib.blake2b(shared, digest_size=WORK_BYTES).hexdigest()
    return Edition(work, release_date, stripped.removed)


def fold(albums: Iterable[AlbumEntry]) -> list[AlbumEntry]:
    """Return one release of each work, in the same order; `albums` are latest first.

    It is the first, or the one with the plainest title among those of the same release date. A
    release without credits is a work of its own.
    """
    chosen: dict[Hashable, AlbumEntry] = {}
    for album in (albums := list(albums)):
        if album.edition is None:
            chosen[id(album)] = album
            continue
        rival = chosen.setdefault(album.edition.work, album).edition
        if rival is not None and _is_plainer(album.edition, rival):
            chosen[album.edition.work] = album
    listed = {id(album) for album in chosen.values()}
    return [album for album in albums if id(album) in listed]


def _is_plainer(edition: Edition, rival: Edition) -> bool:
    return edition.release_date == rival.release_date and edition.removed < rival.removed
