"""CSV (RFC 4180) for spreadsheets, in which no name becomes a formula. Pure."""

import csv
import io
from collections.abc import Sequence

from server.catalog.feeds.release import Channel, Release

COLUMNS = (
    "spotify_id",
    "name",
    "artists",
    "type",
    "release_date",
    "tracks",
    "first_seen",
    "updated",
    "url",
    "cover",
)
# A cell that begins with one of these would be computed; a quote in front makes it text.
# Source: owasp.org/www-community/attacks/CSV_Injection
ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(_channel: Channel, releases: Sequence[Release]) -> bytes:
    """A line a release below the names of the columns."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for release in releases:
        lines.writerow(map(_inert, _cells(release)))
    return text.getvalue().encode()


def _cells(release: Release) -> tuple[object, ...]:
    return (
        release.spotify_id,
        release.name,
        release.by,
        release.kind,
        release.release_date,
        release.tracks,
        release.first_seen,
        release.updated,
        release.url,
        release.cover,
    )


def _inert(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(ACTIVE) else text
