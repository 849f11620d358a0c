"""CSV (RFC 4180) for spreadsheets, in which no name becomes a formula. Pure."""

import csv
import io
from collections.abc import Sequence

from server.catalog.feeds.channel import Channel
from server.catalog.release import Release

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
    lines.writerows(map(_cells, releases))
    return text.getvalue().encode()


def _cells(release: Release) -> tuple[object, ...]:
    return (
        release.spotify_id,
        _inert(release.name),
        _inert(release.by),
        _inert(release.kind),
        _inert(release.release_date),
        release.tracks,
        release.first_seen,
        release.updated,
        _inert(release.url),
        _inert(release.cover),
    )


def _inert(cell: str | None) -> str:
    return f"'{cell}" if cell and cell.lstrip(" ").startswith(ACTIVE) else cell or ""
