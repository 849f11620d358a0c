"""Spotify's album objects made into releases: strict about identity, tolerant about all else.

Pure. A broken item is skipped and counted; beyond this door only frozen objects go. The quirks that
are survived here have all been seen in answers since 2014.
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
# Bounds of what is kept: far above what Spotify sends, so that one item cannot fill the memory.
MOST_IMAGES = 50  # Spotify gives three sizes; each image is in every answer about each artist
MOST_CREDITS = 200  # of a release; what has more names `Various Artists`
MOST_LINKS = 20
MOST_GENRES = 100
LONGEST_TEXT = 10_000  # characters; what is longer is cut
LONGEST_ADDRESS = 2000  # characters; a longer one is left out
LONGEST_TYPE = 50  # characters; the type stands in an index, which holds no long text


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Take an unusable optional value for an absent one."""
    try:
        return handler(value)
    except ValidationError:
        return None


def _text(value: Any) -> Any:
    return UNSTORABLE.sub("", value[:LONGEST_TEXT]) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Python takes true for 1, we do not."""
    return None if isinstance(value, bool) else value


def _good_urls(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {
        _text(str(name)): _text(url)
        for name, url in islice(value.items(), MOST_LINKS)
        if isinstance(url, str) and url.startswith(("https://", "http://")) and _fits(name, url)
    }


def _fits(*texts: str) -> bool:
    """Whether each is short enough for an address."""
    return max(map(len, texts)) <= LONGEST_ADDRESS


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
    return value.lower() if isinstance(value, str) and len(value) <= LONGEST_TYPE else None


SpotifyId = Annotated[str, Field(pattern=f"^{ID.pattern}$")]
Text = Annotated[str, BeforeValidator(_text)]
Optional = WrapValidator(_or_none)
Count = Annotated[int | None, Field(ge=0, lt=2**31), BeforeValidator(_number), Optional]
Address = Annotated[Text | None, Field(max_length=LONGEST_ADDRESS), Optional]
Urls = Annotated[dict[str, str], BeforeValidator(_good_urls)]


class _Parsed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


Model = TypeVar("Model", bound=_Parsed)


class Image(_Parsed):
    """A cover; sizes in pixels, null where Spotify does not say."""

    url: Annotated[Text, Field(pattern=r"^https?://", max_length=LONGEST_ADDRESS)]
    height: Count = None
    width: Count = None


class Credit(_Parsed):
    """An artist as an album names it."""

    spotify_id: SpotifyId = Field(alias="id")
    name: Text
    uri: Address = None
    href: Address = None
    external_urls: Urls = Field(default_factory=dict)


def _good_images(value: Any) -> list[Image]:
    images = _each(Image, value[:MOST_IMAGES] if isinstance(value, list) else [])
    return sorted(images, key=lambda image: -(image.width or 0))


def _good_credits(value: Any) -> list[Credit]:
    credited: dict[str, Credit] = {}
    for credit in _each(Credit, value[:MOST_CREDITS] if isinstance(value, list) else []):
        credited.setdefault(credit.spotify_id, credit)
    return list(credited.values())


def _good_markets(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    return sorted({code for code in value if isinstance(code, str) and MARKET.fullmatch(code)})


class Release(_Parsed):
    """One album object. Null means that Spotify did not say, which is not the same as empty.

    `release_date` has 4, 7 or 10 characters; `images` are widest first; `artists` in the order of
    the credits, each once.
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
        """The date's own length tells its precision, for the precision given can be missing."""
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
    return [_text(genre) for genre in value[:MOST_GENRES] if isinstance(genre, str)]


def _total(value: Any) -> Any:
    return value.get("total") if isinstance(value, dict) else None


class ArtistDetails(_Parsed):
    """What an artist object says beyond its credit; null is not said, empty is none."""

    spotify_id: SpotifyId = Field(alias="id")
    images: Annotated[list[Image] | None, BeforeValidator(_images_if_any)] = None
    genres: Annotated[list[str] | None, BeforeValidator(_genres_if_any)] = None
    popularity: Count = None
    followers: Annotated[Count, BeforeValidator(_total)] = None


def parse_artists(items: Iterable[Any]) -> list[ArtistDetails]:
    """Parse artist objects; null and broken ones are left out."""
    return _each(ArtistDetails, list(items))


def is_shortened(item: Any) -> bool:
    """Return whether an album object has more credits or images than are kept."""
    if not isinstance(item, dict):
        return False
    bounds = (("artists", MOST_CREDITS), ("images", MOST_IMAGES))
    return any(isinstance(item.get(name), list) and len(item[name]) > most for name, most in bounds)


def release_dates(items: Iterable[Any]) -> Iterator[str]:
    """Yield the release dates of album objects, as text, without parsing all of each."""
    for item in items:
        if isinstance(item, dict) and (text := _release_date(item)[0]):
            yield text


def _each(model: type[Model], items: list[Any]) -> list[Model]:
    """The usable ones of some inner objects."""
    good = []
    for item in items:
        try:
            good.append(model.model_validate(item))
        except ValidationError:
            continue
    return good
