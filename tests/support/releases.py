"""Releases as the catalogue holds them, made up."""

from typing import Any

from server.catalog.release import Release
from tests.support.examples import spotify_id


def release(name: str = "Album", **fields: Any) -> Release:
    """Return a release of this name by an artist of the same name; `fields` as the API has them."""
    return Release.of(
        {
            "spotify_id": spotify_id("album", 1),
            "uri": "spotify:album:x",
            "name": name,
            "artists": [{"name": name, "spotify_id": spotify_id("artist", 1)}],
            "external_urls": {"spotify": "https://open.spotify.com/album/x"},
            "images": [{"url": "https://i.scdn.co/image/x", "height": 640, "width": 640}],
            "album_type": "album",
            "total_tracks": 3,
            "release_date": "2026-11-20",
            "released_on": "2026-11-20",
            "created_at": "2026-11-20T05:00:12Z",
            "updated_at": "2026-11-21T05:00:12Z",
            "kind": fields.get("album_type", "album"),
            **fields,
        }
    )
