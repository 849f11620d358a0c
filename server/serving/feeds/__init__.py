"""The latest releases as feeds: Atom, JSON Feed, iCalendar and CSV. Pure.

Begin with `FORMATS`, which maps each path to its format; `feed.py` has what the formats share, and
each of the other modules writes one format. Ids are derived from Spotify's, so an entry has the
same id on every server, forever. Imports `catalog` only.
"""

from server.catalog.release import Release
from server.serving.feeds import atom, csv_table, icalendar, json_feed
from server.serving.feeds.feed import Channel, Format

FORMATS = {
    "/feeds/albums.atom": Format(atom.write, "application/atom+xml; charset=utf-8"),
    "/feeds/albums.json": Format(json_feed.write, "application/feed+json; charset=utf-8"),
    "/feeds/albums.ics": Format(icalendar.write, "text/calendar; charset=utf-8"),
    "/feeds/albums.csv": Format(
        csv_table.write, "text/csv; charset=utf-8; header=present", csv_table.FILENAME
    ),
}
FORMATS |= {path.replace("/feeds/", "/feeds/my/"): each for path, each in FORMATS.items()}

PAGES = (
    "The 50 releases first seen last; `next` leads on through everything that is kept, in `Link` "
    "and, if the format has such links, in the feed. Further pages also have `first`."
)

__all__ = ["FORMATS", "PAGES", "Channel", "Format", "Release"]
