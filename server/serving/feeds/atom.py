"""Writes Atom feeds (RFC 4287), whose pages are linked (RFC 5005 section 3). Pure."""

from collections.abc import Sequence
from html import escape

from server.catalog.release import Release
from server.catalog.snapshot import utc
from server.serving.feeds.feed import Channel, artist_url

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
SPACE = "http://www.w3.org/2005/Atom"
NEVER = "1970-01-01T00:00:00Z"  # before the first sync, since `updated` is mandatory


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """Write a feed with one entry per release; covers are linked, not embedded.

    `updated` of the feed is the latest of its entries, each of which is the last significant change
    of its release (RFC 4287 section 4.2.15); without entries it is the last change of the data.
    """
    updated = max((each.updated for each in releases), default=utc(channel.updated) or NEVER)
    pages = ("first", channel.first), ("next", channel.following)
    linked = [f'<link rel="{name}" href="{escape(url)}"/>' for name, url in pages if url]
    head = (
        f'{DECLARATION}<feed xmlns="{SPACE}">'
        f"<id>{escape(channel.identity)}</id><title>{escape(channel.title)}</title>"
        f"<updated>{updated}</updated><generator>Freshet</generator>"
        "<author><name>Spotify</name></author>"
        f"{_link('self', 'application/atom+xml', channel.url)}"
        f"{_link('alternate', 'text/html', channel.home)}{''.join(linked)}"
    )
    return "".join([head, *map(_entry, releases), "</feed>"]).encode()


def _entry(release: Release) -> str:
    # An entry without an alternate link must have content (section 4.1.2).
    about = "summary" if release.url else "content"
    category = f'<category term="{escape(release.kind)}"/>' if release.kind else ""
    return (
        f"<entry><id>{escape(release.uri)}</id><title>{escape(release.title)}</title>"
        f"<published>{release.first_seen}</published><updated>{release.updated}</updated>"
        f"{''.join(map(_author, release.artists))}{category}"
        f"{_link('alternate', 'text/html', release.url)}"
        f"{_link('enclosure', 'image/jpeg', release.cover)}"
        f"<{about}>{escape(release.about)}</{about}></entry>"
    )


def _author(artist: tuple[str, str]) -> str:
    name, spotify_id = artist
    uri = escape(artist_url(spotify_id))
    return f"<author><name>{escape(name)}</name><uri>{uri}</uri></author>"


def _link(relation: str, media_type: str, target: str | None) -> str:
    if not target:
        return ""
    return f'<link rel="{relation}" type="{media_type}" href="{escape(target)}"/>'
