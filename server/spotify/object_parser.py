"""Parses Spotify's album and artist objects: strict about ids and names, tolerant otherwise. Pure.

A broken item is skipped and counted by the caller; the results are frozen objects. Every fault that
is tolerated here has been observed in answers since 2014.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

PRECISION = {4: "year", 7: "month", 10: "day"}
DATE = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")
ID = re.compile(r"[0-9A-Za-z]{22}")
MARKET = re.compile(r"[A-Z]{2}")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL's text holds every character but these
# Limits far above what Spotify sends, so that a single item cannot fill the memory.
MAX_IMAGES = 50  # Spotify has three sizes
MAX_CREDITS = 200  # of a release; one with more artists credits `Various Artists`
MAX_LINKS = 20
MAX_GENRES = 100
MAX_TEXT_LENGTH = 10_000  # characters; a longer text is cut
MAX_ADDRESS_LENGTH = 2000  # characters; a longer address is left out
MAX_TYPE_LENGTH = 50  # characters; an index has the type, and cannot hold long text


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Replace an unusable optional value by None."""
    try:
        return handler(value)
    except ValidationError:
        return None


def _text(value: Any) -> Any:
    return UNSTORABLE.sub("", value[:MAX_TEXT_LENGTH]) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Reject booleans, which Python would accept as 0 and 1."""
    return None if isinstance(value, bool) else value


def _good_urls(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {
        _text(str(name)): _text(url)
        for name, url in islice(value.items(), MAX_LINKS)
        if isinstance(url, str) and url.startswith(("https://", "http://")) and _fits(name, url)
    }


def _fits(*texts: str) -> bool:
    """Whether each text is short enough for an address."""
    return max(map(len, texts)) <= MAX_ADDRESS_LENGTH


def _known_date(value: Any) -> str | None:
    return value if isinstance(value, str) and DATE.fullmatch(value) else None


def _release_date(item: dict[str, Any]) -> tuple[str | None, date | None]:
    """Return the date of an album object as text, and as a day if it is one."""
    text = _known_date(item.get("release_date"))
    if text is None or len(text) < 10:
        return text, None
    try:
        return text, date.fromisoformat(text)
    except ValueError:  # such as 30 February
        return None, None


def _known_type(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and len(value) <= MAX_TYPE_LENGTH else None


SpotifyId = Annotated[str, Field(pattern=f"^{ID.pattern}$")]
Text = Annotated[str, BeforeValidator(_text)]
Optional = WrapValidator(_or_none)
Count = Annotated[int | None, Field(ge=0, lt=2**31), BeforeValidator(_number), Optional]
Address = Annotated[Text | None, Field(max_length=MAX_ADDRESS_LENGTH), Optional]
Urls = Annotated[dict[str, str], BeforeValidator(_good_urls)]


class _Parsed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


Model = TypeVar("Model", bound=_Parsed)


class Image(_Parsed):
    """A cover; sizes in pixels, None where Spotify gives none."""

    url: Annotated[Text, Field(pattern=r"^https?://", max_length=MAX_ADDRESS_LENGTH)]
    height: Count = None
    width: Count = None


class Credit(_Parsed):
    """An artist as credited on an album."""

    spotify_id: SpotifyId = Field(alias="id")
    name: Text
    uri: Address = None
    href: Address = None
    external_urls: Urls = Field(default_factory=dict)


def _good_images(value: Any) -> list[Image]:
    images = _each(Image, value[:MAX_IMAGES] if isinstance(value, list) else [])
    return sorted(images, key=lambda image: -(image.width or 0))


def _good_credits(value: Any) -> list[Credit]:
    credited: dict[str, Credit] = {}
    for credit in _each(Credit, value[:MAX_CREDITS] if isinstance(value, list) else []):
        credited.setdefault(credit.spotify_id, credit)
    return list(credited.values())


def _good_markets(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return sorted({code for code in value if isinstance(code, str) and MARKET.fullmatch(code)})


class ParsedRelease(_Parsed):
    """One album object. None means that Spotify gave no value, which is not the same as empty.

    `release_date` has 4, 7 or 10 characters, `released_on` is the date if these are 10; `images`
    are widest first; `artists` are in the order of the credits, each once. Source:
    developer.spotify.com/documentation/web-api/reference/get-an-album.
    """

    spotify_id: SpotifyId = Field(alias="id")
    name: Text
    album_type: Annotated[Text | None, Optional] = None
    release_date: Annotated[str | None, BeforeValidator(_known_date)] = None
    release_date_precision: str | None = None
    released_on: date | None = None
    total_tracks: Count = None
    uri: Address = None
    href: Address = None
    images: Annotated[list[Image], BeforeValidator(_good_images)] = Field(default_factory=list)
    external_urls: Urls = Field(default_factory=dict)
    available_markets: Annotated[list[str] | None, BeforeValidator(_good_markets)] = None
    artists: Annotated[tuple[Credit, ...], BeforeValidator(_good_credits)] = ()

    @model_validator(mode="before")
    @classmethod
    def _date_by_its_length(cls, item: Any) -> Any:
        """Derive the precision from the length of the date, since Spotify may leave it out."""
        if not isinstance(item, dict):
            return item
        text, released_on = _release_date(item)
        return item | {
            "release_date": text,
            "release_date_precision": PRECISION[len(text)] if text else None,
            "released_on": released_on,
            "album_type": _known_type(item.get("album_type")),
        }


def _images_if_any(value: Any) -> list[Image] | None:
    return _good_images(value) if isinstance(value, list) else None


def _genres_if_any(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return [_text(genre) for genre in value[:MAX_GENRES] if isinstance(genre, str)]


def _total(value: Any) -> Any:
    return value.get("total") if isinstance(value, dict) else None


class ArtistDetails(_Parsed):
    """The fields of an artist object beyond its credit; None means that Spotify gave no value.

    Source: developer.spotify.com/documentation/web-api/reference/get-an-artist.
    """

    spotify_id: SpotifyId = Field(alias="id")
    images: Annotated[list[Image] | None, BeforeValidator(_images_if_any)] = None
    genres: Annotated[list[str] | None, BeforeValidator(_genres_if_any)] = None
    popularity: Count = None
    followers: Annotated[Count, BeforeValidator(_total)] = None


def parse_artists(items: Iterable[Any]) -> list[ArtistDetails]:
    """Parse artist objects, without null and broken ones."""
    return _each(ArtistDetails, list(items))


def is_shortened(item: Any) -> bool:
    """Return whether an album object has more credits or images than the limits allow."""
    if not isinstance(item, dict):
        return False
    bounds = (("artists", MAX_CREDITS), ("images", MAX_IMAGES))
    return any(isinstance(item.get(name), list) and len(item[name]) > most for name, most in bounds)


def release_dates(items: Iterable[Any]) -> Iterator[str]:
    """Yield the release dates of album objects as text, without parsing the whole objects."""
    for item in items:
        if isinstance(item, dict) and (text := _release_date(item)[0]):
            yield text


def _each(model: type[Model], items: list[Any]) -> list[Model]:
    """Parse objects, without those that are not valid."""
    good = []
    for item in items:
        try:
            good.append(model.model_validate(item))
        except ValidationError:
            continue
    return good
