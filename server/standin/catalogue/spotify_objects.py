"""Spotify's objects, as its Web API returns them: dicts that are ready to be JSON.

Links to the stand-in itself start with `ORIGIN`, which the handlers replace by its address, because
the port is known only then.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from server.standin.catalogue.ids import hex_id, seeded_random, spotify_id
from server.standin.catalogue.names import GENRES, LABELS

Json = dict[str, Any]

ORIGIN: Final = "http://standin.invalid"
"""Placeholder for the stand-in's own address (scheme, host, port) in a catalogue's links."""

SHOWN: Final = ("/image/", "/open/")
"""Prefixes of the paths of covers and public pages."""

COVER_SIZES: Final = {640: "ab67616d0000b273", 300: "ab67616d00001e02", 64: "ab67616d00004851"}
PORTRAIT_SIZES: Final = {640: "ab6761610000e5eb", 320: "ab67616100005174", 160: "ab6761610000f178"}
"""Width in pixels → the first 16 characters of an image id, as Spotify has them."""


def images(sizes: Mapping[int, str], key: str) -> list[Json]:
    """Return the same picture in each of `sizes`, widest first."""
    tail = hex_id("image", key)
    return [
        {"height": size, "url": f"{ORIGIN}/image/{prefix}{tail}", "width": size}
        for size, prefix in sizes.items()
    ]


def _links(kind: str, identifier: str) -> Json:
    return {
        "external_urls": {"spotify": f"{ORIGIN}/open/{kind}/{identifier}"},
        "href": f"{ORIGIN}/v1/{kind}s/{identifier}",
        "id": identifier,
    }


def simplified_artist(identifier: str, name: str) -> Json:
    """Return a SimplifiedArtistObject, as albums contain it."""
    links = _links("artist", identifier)
    return links | {"name": name, "type": "artist", "uri": f"spotify:artist:{identifier}"}


def simplified_album(identifier: str, name: str, artists: list[Json], released: date) -> Json:
    """Return a SimplifiedAlbumObject of day precision with cover and one track, without markets."""
    return {
        "album_type": "single",
        "artists": artists,
        "available_markets": [],
        **_links("album", identifier),
        "images": images(COVER_SIZES, identifier),
        "name": name,
        "release_date": released.isoformat(),
        "release_date_precision": "day",
        "total_tracks": 1,
        "type": "album",
        "uri": f"spotify:album:{identifier}",
    }


def credited(album: Json) -> list[Json]:
    """Return the simplified artists of an album in order, without invalid entries."""
    artists = album.get("artists")
    return [a for a in artists if isinstance(a, dict)] if isinstance(artists, list) else []


def full_artist(artist: Json) -> Json:
    """Return the ArtistObject of a simplified one; its further fields are derived from the id."""
    identifier = str(artist.get("id"))
    rng = seeded_random("artist", identifier)
    return artist | {
        "followers": {"href": None, "total": int(10 ** rng.uniform(1, 6.5))},
        "genres": rng.sample(GENRES, rng.choice((0, 1, 1, 2, 3))),
        "images": images(PORTRAIT_SIZES, identifier) if rng.random() < 0.9 else [],
        "popularity": rng.randint(0, 92),
    }


def full_album(album: Json) -> Json:
    """Return the AlbumObject of a simplified one: tracks, label, copyrights, popularity."""
    rng = seeded_random("album", album.get("id"))
    label, year = rng.choice(LABELS), str(album.get("release_date"))[:4]
    total = album.get("total_tracks")
    shown = min(total, 50) if isinstance(total, int) else 0
    tracks = [_track(album, number + 1) for number in range(shown)]
    return album | {
        "copyrights": [{"text": f"{year} {label}", "type": kind} for kind in "CP"],
        "external_ids": {"upc": str(rng.randrange(10**11, 10**12))},
        "genres": [],
        "label": label,
        "popularity": rng.randint(0, 80),
        "tracks": {
            "href": f"{album.get('href')}/tracks?offset=0&limit=50",
            "items": tracks,
            "limit": 50,
            "next": None,
            "offset": 0,
            "previous": None,
            "total": total,
        },
    }


def _track(album: Json, number: int) -> Json:
    identifier = spotify_id("track", album.get("id"), number)
    rng = seeded_random("track", identifier)
    track = {
        "artists": album.get("artists"),
        "disc_number": 1,
        "duration_ms": rng.randint(95_000, 340_000),
        "explicit": rng.random() < 0.15,
        **_links("track", identifier),
        "is_local": False,
        "name": f"{album.get('name')}, {number}" if number > 1 else album.get("name"),
        "preview_url": None,
        "track_number": number,
        "type": "track",
        "uri": f"spotify:track:{identifier}",
    }
    if "available_markets" in album:
        track["available_markets"] = album["available_markets"]
    return track
