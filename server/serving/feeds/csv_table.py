"""CSV (RFC 4180) for spreadsheets, in which nothing computes however it is read. Pure.

A reader may split at other characters than commas and may know other quotes or none, so a formula
can begin anywhere within a cell. Therefore an active character only stands as it is behind a letter
or digit, or alone between two words; elsewhere a mark precedes it. Whoever wants the text as it was
removes one mark from in front of each active character.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence

from server.catalog.release import Release
from server.serving.feeds.feed import Channel

FILENAME = "freshet-albums.csv"
BOM = "\ufeff"  # without it Excel takes UTF-8 for the code page of its machine
COLUMNS = (
    "spotify_id",
    "name",
    "artists",
    "type",
    "release_date",
    "tracks",
    "first_seen",
    "updated",
    "url",
    "cover",
)
# With these a formula may begin: = + - @, and what Unicode holds for the same (NFKC, minus sign).
# Source: owasp.org/www-community/attacks/CSV_Injection
ACTIVE = re.compile(
    "[=+\\-@\u207a\u207b\u207c\u208a\u208b\u208c\u2212\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b"
    "\uff0b\uff0d\uff1d\uff20]"
)
# A letter that looks like an apostrophe. The apostrophe itself is a quote to some readers, which
# would take it away and compute what it was to guard.
MARK = "\N{MODIFIER LETTER APOSTROPHE}"
EXPOSED = re.compile(f"(?<![^\\W_{MARK}]){ACTIVE.pattern}")  # with no letter or digit before it


def write(_channel: Channel, releases: Sequence[Release]) -> bytes:
    """A line a release below the names of the columns, after a byte order mark."""
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
    """A character of an address, which would lead nowhere with a mark in it."""
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _inert(cell: str | None, guarded: Callable[[str], str] = _marked) -> str:
    """A cell in which no formula begins wherever it is cut, unless between letters or digits."""

    def guard(found: re.Match[str]) -> str:
        return found[0] if _is_harmless(found.string, found.start()) else guarded(found[0])

    return EXPOSED.sub(guard, cell or "")


def _is_harmless(text: str, place: int) -> bool:
    """Whether the active character there belongs to a word, or stands alone between two words."""
    if _ends_word(text, place):
        return True
    alone = text[place - 1 : place] == text[place + 1 : place + 2] == " "
    return alone and _ends_word(text, place - 1)


def _ends_word(text: str, place: int) -> bool:
    """Whether a letter or digit is before this place, its accents aside."""
    while place and unicodedata.category(text[place - 1]).startswith("M"):
        place -= 1
    before = text[place - 1 : place]
    return before.isalnum() and before != MARK
