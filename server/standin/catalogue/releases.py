"""Generates one plausible release from a key, the same on every restart.

Artists come from a roster that follows from the seed, or are new with the release. Nothing depends
on earlier releases, so a restart never gives an id to another album.
"""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from random import Random
from typing import Final

from server.standin.catalogue.ids import VARIOUS_ARTISTS, seeded_random, spotify_id
from server.standin.catalogue.names import (
    AWKWARD_TITLES,
    LEXICONS,
    LONG_TITLES,
    ROSTER,
    SAMPLERS,
    SHORT_TITLES,
)
from server.standin.catalogue.spotify_objects import Json, simplified_album, simplified_artist

_CODES: Final = (
    "AD AE AG AL AM AO AR AT AU AZ BA BB BD BE BF BG BH BI BJ BN BO BR BS BT BW BY BZ CA CD CG CH"
    " CI CL CM CO CR CV CW CY CZ DE DJ DK DM DO DZ EC EE EG ES ET FI FJ FM FR GA GB GD GE GH GM GN"
    " GQ GR GT GW GY HK HN HR HT HU ID IE IL IN IQ IS IT JM JO JP KE KG KH KI KM KN KR KW KZ LA LB"
    " LC LI LK LR LS LT LU LV LY MA MC MD ME MG MH MK ML MN MO MR MT MU MV MW MX MY MZ NA NE NG NI"
    " NL NO NP NR NZ OM PA PE PG PH PK PL PR PS PT PW PY QA RO RS RW SA SB SC SE SG SI SK SL SM SN"
    " SR ST SV SZ TD TG TH TJ TL TN TO TR TT TV TW TZ UA UG US UY UZ VC VE VN VU WS XK ZA ZM ZW"
)
MARKETS: Final = tuple(_CODES.split())
"""All markets as ISO 3166-1 alpha-2 codes, sorted; a worldwide album lists them all."""

REGIONS: Final[tuple[tuple[str, ...], ...]] = (
    ("AT", "CH", "DE", "LI", "LU"),
    ("DK", "FI", "IS", "NO", "SE"),
    ("JP",),
    ("CA", "MX", "PR", "US"),
    ("AR", "BO", "BR", "CL", "CO", "EC", "PE", "PY", "UY", "VE"),
    tuple(market for market in MARKETS if market not in {"US", "CA", "JP"}),
)
"""Groups of markets to which some releases are restricted."""

ROSTER_SIZE: Final = 130
_TRACKS: Final = {"single": (1, 3), "ep": (4, 6), "album": (8, 17), "compilation": (18, 40)}


def rostered(seed: int, number: int) -> tuple[str, Json]:
    """Return language and simplified object of the artist at place `number` of the roster."""
    if number < len(ROSTER):
        language, name = ROSTER[number]
    else:
        language, name = band(seeded_random(seed, "roster", number))
    return language, simplified_artist(spotify_id(seed, "roster", number), name)


def band(rng: Random) -> tuple[str, str]:
    """Return a language and an invented name of an artist in it."""
    language = rng.choice((*("english",) * 6, *LEXICONS))
    phrase = LEXICONS[language].phrase(rng)
    if language == "english" and rng.random() < 0.4:
        phrase = f"The {phrase}"
    return language, phrase


def _newcomer(rng: Random, key: tuple[object, ...]) -> tuple[str, Json]:
    language, name = band(rng)
    return language, simplified_artist(spotify_id(*key, "newcomer"), name)


def _cast(rng: Random, seed: int, key: tuple[object, ...], size: int) -> tuple[str, list[Json]]:
    """Return the language and the artists of a release; a quarter are led by a new artist."""
    places = rng.sample(range(ROSTER_SIZE), size)
    cast = [rostered(seed, place) for place in places]
    if rng.random() < 0.25:
        cast[0] = _newcomer(rng, key)
    return cast[0][0], [artist for _, artist in cast]


def _title(rng: Random, language: str, album_type: str) -> str:
    lexicon = LEXICONS[language if rng.random() < 0.85 else "english"]
    title = lexicon.phrase(rng) if rng.random() < 0.7 else rng.choice(lexicon.seconds)
    endings = {
        "single": (*("",) * 7, " (Acoustic)", " - Remix", " (Sped Up)"),
        "ep": (" EP", "", " - EP"),
        "album": ("", "", "", "", " (Deluxe Edition)", " (Live)", ", Vol. 2"),
        "compilation": (" (Remastered)", ": Collected Recordings"),
    }
    return title[0].upper() + title[1:] + rng.choice(endings[album_type])


def _markets(rng: Random) -> list[str]:
    return list(MARKETS if rng.random() < 0.85 else rng.choice(REGIONS))


def compose(seed: int, key: tuple[object, ...], released: date, size: int | None = None) -> Json:
    """Return the release of `key`, out on `released`, by `size` artists or a random number."""
    rng = seeded_random(seed, *key)
    size = size or rng.choices((1, 2, 3, 4, 5), (70, 19, 7, 3, 1))[0]
    language, artists = _cast(rng, seed, (seed, *key), size)
    album_type = rng.choices(tuple(_TRACKS), (56, 12, 28, 4))[0]
    title = _title(rng, language, album_type)
    album = simplified_album(spotify_id(seed, *key), title, artists, released)
    return album | {
        "album_type": "single" if album_type == "ep" else album_type,
        "available_markets": _markets(rng),
        "total_tracks": rng.randint(*_TRACKS[album_type]),
    }


def _by_various_artists(album: Json, rng: Random) -> Json:
    return album | {
        "album_type": "compilation",
        "artists": [simplified_artist(VARIOUS_ARTISTS, "Various Artists")],
        "name": f"{rng.choice(SAMPLERS)} {rng.randint(3, 60)}",
        "total_tracks": rng.randint(18, 40),
    }


def _named(titles: Sequence[str]) -> Callable[[Json, Random], Json]:
    return lambda album, rng: album | {"name": rng.choice(titles)}


def _without(field: str) -> Callable[[Json, Random], Json]:
    return lambda album, _: {name: value for name, value in album.items() if name != field}


def _announced(album: Json, _: Random) -> Json:
    later = date.fromisoformat(album["release_date"]) + timedelta(days=21)
    return album | {"release_date": later.isoformat()}


def _dated(length: int, precision: str) -> Callable[[Json, Random], Json]:
    def shorten(album: Json, _: Random) -> Json:
        dated = {"release_date": album["release_date"][:length]}
        return album | dated | {"release_date_precision": precision}

    return shorten


QUIRKS: Final[dict[int, Callable[[Json, Random], Json]]] = {
    2: lambda album, _: album | {"images": list(reversed(album["images"]))},
    4: lambda album, _: album | {"album_type": "ep", "total_tracks": 5},
    6: lambda album, rng: album | {"images": rng.sample(album["images"], len(album["images"]))},
    9: _by_various_artists,
    11: _dated(7, "month"),
    13: _dated(4, "year"),
    15: lambda album, _: album | {"images": []},
    17: _named(LONG_TITLES),
    18: _named(SHORT_TITLES),
    19: lambda album, _: album | {"available_markets": []},
    20: _without("available_markets"),
    22: _announced,
    23: _named(AWKWARD_TITLES),
}
"""Place in its day's releases → the peculiarity of that release; from 9 on, Fridays only.

Each of them has been seen in Spotify's own responses.
"""
FIVE_CREDITS: Final = 21
TWIN_OF: Final = {25: 24, 27: 26}
"""Place of a clean version → place of the explicit one, whose name and artists it shares."""


def release_of_day(seed: int, day: date, place: int, *, quirks: bool) -> Json:
    """Return the release at `place` (from 0) of those that came out on `day`."""
    key = (day.isoformat(), place)
    if not quirks:
        return compose(seed, key, day)
    if place in TWIN_OF:
        original = compose(seed, (day.isoformat(), TWIN_OF[place]), day)
        twin = simplified_album(spotify_id(seed, *key), original["name"], original["artists"], day)
        shared = ("album_type", "available_markets", "total_tracks")
        return twin | {field: original[field] for field in shared}
    album = compose(seed, key, day, size=5 if place == FIVE_CREDITS else None)
    quirk = QUIRKS.get(place)
    return quirk(album, seeded_random(seed, *key, "quirk")) if quirk else album
