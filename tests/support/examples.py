"""Invented album objects in Spotify's format, and sweeps of them."""

from typing import Any

from server.spotify.list_parser import parse_items
from server.spotify.sweep import MarketList, Sweep


def spotify_id(kind: str, number: int) -> str:
    """Return a unique 22-character id."""
    return f"{kind}{number:0{22 - len(kind)}d}"


def artist(number: int, **fields: Any) -> dict[str, Any]:
    identity = spotify_id("artist", number)
    return {
        "external_urls": {"spotify": f"https://open.spotify.com/artist/{identity}"},
        "href": f"https://api.spotify.com/v1/artists/{identity}",
        "id": identity,
        "name": f"Artist {number}",
        "type": "artist",
        "uri": f"spotify:artist:{identity}",
        **fields,
    }


def album(number: int, **fields: Any) -> dict[str, Any]:
    identity = spotify_id("album", number)
    return {
        "album_type": "album",
        "artists": [artist(number)],
        "external_urls": {"spotify": f"https://open.spotify.com/album/{identity}"},
        "href": f"https://api.spotify.com/v1/albums/{identity}",
        "id": identity,
        "images": [
            {"height": size, "url": f"https://i.scdn.co/image/{identity}{size}", "width": size}
            for size in (640, 300, 64)
        ],
        "name": f"Album {number}",
        "release_date": "2026-11-20",
        "release_date_precision": "day",
        "total_tracks": 10,
        "type": "album",
        "uri": f"spotify:album:{identity}",
        **fields,
    }


def albums(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [album(number) for number in range(first, first + count)]


def sweep(items: list[Any], market: str = "", **fields: Any) -> Sweep:
    """Return the sweep of one list of `items`.

    Its proof of absence is sure, or weak if an item has no id.
    """
    parsed = parse_items(items)
    ids = tuple(release.spotify_id for release in parsed.releases)
    proof = fields.pop("proof", "weak" if parsed.nameless else "sure")
    return Sweep(
        **{
            "source": "search",
            "releases": parsed.releases,
            "lists": [MarketList(market, ids, proof, parsed.skipped_ids)],
            "complete": True,
            "calls": 1,
            "skipped": parsed.skipped,
            **fields,
        }
    )
