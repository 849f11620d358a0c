"""Writes CSV (RFC 4180) for spreadsheets, safe from formula injection. Pure.

A program may split at other characters than commas and may know other quotes or none, so a formula
can begin anywhere within a cell. Therefore an active character is left unchanged only after a
letter or digit, or alone between two words; elsewhere a mark is inserted before it. To restore the
original text, remove one mark before each active character.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence

from server.catalog.release import Release
from server.serving.feeds.feed import Channel

FILENAME = "freshet-albums.csv"
BOM = "\ufeff"  # without it Excel reads the file in the local code page instead of UTF-8
COLUMNS = (
    "spotify_id",
    "name",
    "artists",
    "type",
    "kind",
    "release_date",
    "tracks",
    "first_seen",
    "updated",
    "url",
    "cover",
)
# A formula may begin with these: = + - @ and their Unicode equivalents (NFKC, minus sign).
# Source: owasp.org/www-community/attacks/CSV_Injection
ACTIVE = re.compile(
    "[=+\\-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b"
    "\uff0b\uff0d\uff1d\uff20]"
)
# A letter that looks like an apostrophe. Some programs treat the apostrophe itself as a quote,
# remove it and evaluate the rest.
MARK = "\N{MODIFIER LETTER APOSTROPHE}"
EXPOSED = re.compile(f"(?<![^\\W_{MARK}]){ACTIVE.pattern}")  # with no letter or digit before it


def write(_channel: Channel, releases: Sequence[Release]) -> bytes:
    """Write a byte order mark, the names of the columns, and one line per release."""
    text = io.StringIO(BOM, newline="")
    text.seek(0, io.SEEK_END)
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    lines.writerows(map(_cells, releases))
    return text.getvalue().encode()


def _cells(release: Release) -> tuple[object, ...]:
    return (
        release.spotify_id,
        _inert(release.name),
        _inert(release.by),
        _inert(release.type),
        _inert(release.kind),
        _inert(release.release_date),
        release.tracks,
        release.first_seen,
        release.updated,
        _inert(release.url, _escaped),
        _inert(release.cover, _escaped),
    )


def _marked(character: str) -> str:
    return MARK + character


def _escaped(character: str) -> str:
    """Percent-encode a character of an address, which a mark would break."""
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _inert(cell: str | None, guarded: Callable[[str], str] = _marked) -> str:
    """Guard a cell so that no formula begins in it, wherever it is split."""

    def guard(found: re.Match[str]) -> str:
        return found[0] if _is_harmless(found.string, found.start()) else guarded(found[0])

    return EXPOSED.sub(guard, cell or "")


def _is_harmless(text: str, place: int) -> bool:
    """Return whether the active character is within a word, or alone between two words."""
    if _ends_word(text, place):
        return True
    alone = text[place - 1 : place] == text[place + 1 : place + 2] == " "
    return alone and _ends_word(text, place - 1)


def _ends_word(text: str, place: int) -> bool:
    """Return whether a letter or digit precedes this place, ignoring combining accents."""
    while place and unicodedata.category(text[place - 1]).startswith("M"):
        place -= 1
    before = text[place - 1 : place]
    return before.isalnum() and before != MARK
