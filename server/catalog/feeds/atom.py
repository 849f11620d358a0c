"""Atom (RFC 4287). Pure."""

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from server.catalog.feeds.release import Channel, Release
from server.catalog.snapshot import utc

DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
SPACE = "http://www.w3.org/2005/Atom"
NEVER = "1970-01-01T00:00:00Z"  # `updated` has to be there even before the first sync


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """A feed with an entry a release; its cover is linked, not copied."""
    return "".join(_parts(channel, releases)).encode()


def _parts(channel: Channel, releases: Sequence[Release]) -> Iterator[str]:
    yield f'{DECLARATION}<feed xmlns="{SPACE}">'
    yield f"<id>{escape(channel.url)}</id><title>{escape(channel.title)}</title>"
    yield f"<updated>{utc(channel.updated) or NEVER}</updated><generator>Freshet</generator>"
    yield "<author><name>Spotify</name></author>"
    yield _link("self", "application/atom+xml", channel.url)
    yield _link("alternate", "text/html", channel.home)
    if channel.following:
        yield f'<link rel="next" href={quoteattr(channel.following)}/>'
    for release in releases:
        yield from _entry(release)
    yield "</feed>"


def _entry(release: Release) -> Iterator[str]:
    yield f"<entry><id>{escape(release.uri)}</id><title>{escape(release.title)}</title>"
    yield f"<published>{release.first_seen}</published><updated>{release.updated}</updated>"
    for name, spotify_id in release.artists:
        uri = escape(f"https://open.spotify.com/artist/{spotify_id}")
        yield f"<author><name>{escape(name)}</name><uri>{uri}</uri></author>"
    if release.kind:
        yield f"<category term={quoteattr(release.kind)}/>"
    if release.url:
        yield _link("alternate", "text/html", release.url)
    if release.cover:
        yield _link("enclosure", "image/jpeg", release.cover)
    yield f"<summary>{escape(release.about)}</summary></entry>"


def _link(relation: str, media_type: str, target: str) -> str:
    return f'<link rel="{relation}" type="{media_type}" href={quoteattr(target)}/>'
