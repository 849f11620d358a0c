"""Atom (RFC 4287). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from server.catalog.feeds.release import Channel, Release

SPACE = "http://www.w3.org/2005/Atom"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # `updated` has to be there even before the first sync


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """A feed with an entry a release; its cover is linked, not copied."""
    feed = Xml.Element("feed", xmlns=SPACE)
    _text(feed, "id", channel.url)
    _text(feed, "title", channel.title)
    _text(feed, "updated", _time(channel.updated or NEVER))
    _text(feed, "generator", "Freshet")
    _text(Xml.SubElement(feed, "author"), "name", "Spotify")
    Xml.SubElement(feed, "link", rel="self", type="application/atom+xml", href=channel.url)
    Xml.SubElement(feed, "link", rel="alternate", type="text/html", href=channel.home)
    if channel.following:
        Xml.SubElement(feed, "link", rel="next", href=channel.following)
    for release in releases:
        _entry(feed, release)
    written: bytes = Xml.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(feed: Xml.Element, release: Release) -> None:
    entry = Xml.SubElement(feed, "entry")
    _text(entry, "id", release.uri)
    _text(entry, "title", release.title)
    _text(entry, "published", _time(release.first_seen))
    _text(entry, "updated", _time(release.updated))
    for name, spotify_id in release.artists:
        author = Xml.SubElement(entry, "author")
        _text(author, "name", name)
        _text(author, "uri", f"https://open.spotify.com/artist/{spotify_id}")
    if release.kind:
        Xml.SubElement(entry, "category", term=release.kind)
    if release.url:
        Xml.SubElement(entry, "link", rel="alternate", type="text/html", href=release.url)
    if release.cover:
        Xml.SubElement(entry, "link", rel="enclosure", type="image/jpeg", href=release.cover)
    # An entry that leads nowhere has to have content itself (section 4.1.2).
    _text(entry, "summary" if release.url else "content", release.about)


def _text(parent: Xml.Element, name: str, text: str) -> None:
    Xml.SubElement(parent, name).text = text


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
