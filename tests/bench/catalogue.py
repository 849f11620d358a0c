"""Releases as Spotify tells of them in length and variety, made up, the same ones every time."""

import hashlib
import random
from typing import Any

from tests.support.examples import album, artist

WORDS = (
    "tides night river glass summer ocean velvet echo stone fire winter dream golden paper moon "
    "city light silver heart road Océano Über 夜"
).split()
TYPES = ("single", "album", "ep", "compilation")  # of each the first 300 in each order are held
CREDITS = (1, 1, 1, 2, 3)
COVERS = ((640, "ab67616d0000b273"), (300, "ab67616d00001e02"), (64, "ab67616d00004851"))
MARKETS = [f"{first}{second}" for first in "ABCDEFGHIJKLMNOPQR" for second in "ACEGIKMOSU"]  # 180


def releases(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Album objects with covers, markets and one to three artists each, numbered from `first`."""
    die = random.Random(7 + first)
    artists = [_artist(number, die) for number in range(first, first + count * 3 // 2)]
    return [_album(number, artists, die) for number in range(first, first + count)]


def _artist(number: int, die: random.Random) -> dict[str, Any]:
    return artist(number, **_names("artist", number, die))


def _album(number: int, artists: list[dict[str, Any]], die: random.Random) -> dict[str, Any]:
    names = _names("album", number, die)
    picture = _letters(names["id"], 24)
    return album(
        number,
        **names,
        artists=die.sample(artists, die.choice(CREDITS)),
        album_type=TYPES[number % 4],
        available_markets=MARKETS if number % 3 else MARKETS[: 20 + number % 150],
        images=[
            {"height": size, "url": f"https://i.scdn.co/image/{prefix}{picture}", "width": size}
            for size, prefix in COVERS
        ],
        release_date=f"2026-11-{1 + number % 20:02}",
    )


def _names(kind: str, number: int, die: random.Random) -> dict[str, Any]:
    identity = _letters(f"{kind}{number}", 22)
    return {
        "id": identity,
        "name": " ".join(die.sample(WORDS, die.choice(CREDITS))).title(),
        "uri": f"spotify:{kind}:{identity}",
        "href": f"https://api.spotify.com/v1/{kind}s/{identity}",
        "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{identity}"},
    }


def _letters(seed: str, length: int) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:length]
