"""Writes JSON Feed 1.1 (jsonfeed.org/version/1.1). Pure."""

from collections.abc import Sequence
from typing import Any

import orjson

from server.catalog.release import Release
from server.catalog.snapshot import trimmed
from server.serving.feeds.feed import Channel, artist_url


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """Write a feed with one item per release."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": channel.title,
        "home_page_url": channel.home,
        "feed_url": channel.identity,
        **({"next_url": channel.following} if channel.following else {}),
        "authors": [{"name": "Spotify", "url": "https://open.spotify.com/"}],
        "items": [_item(release) for release in releases],
    }
    return trimmed(orjson.dumps(feed))


def _item(release: Release) -> dict[str, Any]:
    """Return an item without its unknown fields, because the format has no null."""
    item = {
        "id": release.uri,
        "url": release.url,
        "title": release.title,
        "content_text": release.about,
        "image": release.cover,
        "date_published": release.first_seen,
        "date_modified": release.updated,
        "authors": [
            {"name": name, "url": artist_url(spotify_id)} for name, spotify_id in release.artists
        ],
        "tags": [release.kind] if release.kind else None,
    }
    return {name: value for name, value in item.items() if value}
