"""The latest releases as feeds: Atom, JSON Feed, iCalendar and CSV. Pure.

Identities are Spotify's, so an entry stays the same one on every server and for ever.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.catalog.release import Release
from server.serving.feeds import atom, csv_table, icalendar, json_feed
from server.serving.feeds.feed import Channel


@dataclass(frozen=True)
class Format:
    """A way to write releases; the media type of the answer, and the name of a file of it."""

    write: Callable[[Channel, Sequence[Release]], bytes]
    content_type: str
    filename: str | None = None


FORMATS = {
    "/feeds/albums.atom": Format(atom.write, "application/atom+xml; charset=utf-8"),
    "/feeds/albums.json": Format(json_feed.write, "application/feed+json; charset=utf-8"),
    "/feeds/albums.ics": Format(icalendar.write, "text/calendar; charset=utf-8"),
    "/feeds/albums.csv": Format(
        csv_table.write, "text/csv; charset=utf-8; header=present", csv_table.FILENAME
    ),
}

__all__ = ["FORMATS", "Channel", "Format", "Release"]
