"""What the parser returns for an album."""

from typing import Any

import orjson

from server.spotify.object_parser import (
    ParsedRelease,
)

LENGTHS = {"year": 4, "month": 7, "day": 10}


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in strings(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in strings(part)]
    return [value] if isinstance(value, str) else []


def numbers(value: Any) -> list[int]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, int) else []


def check(release: ParsedRelease) -> None:
    """What the store relies on."""
    assert release.spotify_id.isascii()
    assert release.spotify_id.isalnum()
    assert len(release.spotify_id) == 22
    if release.release_date is None:
        assert release.release_date_precision is None
    else:
        assert len(release.release_date) == LENGTHS[str(release.release_date_precision)]
    if release.release_date_precision == "day":
        assert str(release.released_on) == release.release_date
    else:
        assert release.released_on is None
    known = [each.width or 0 for each in release.images]
    assert known == sorted(known, reverse=True)
    assert len({credit.spotify_id for credit in release.artists}) == len(release.artists)
    content = release.model_dump()
    assert not [text for text in strings(content) if "\x00" in text]
    assert all(0 <= number < 2**31 for number in numbers(content))
    assert len((release.album_type or "").encode()) < 1000
    assert orjson.loads(orjson.dumps(content))["spotify_id"] == release.spotify_id
