"""Artists named in an imported text or table: ids, URIs and addresses. Pure.

A text has an artist on each line; a table (CSV) may have them in any column, with or without a
header. Every line is read by itself, so that one with an open quote spoils no other.
Source: developer.spotify.com/documentation/web-api/concepts/spotify-uris-ids; RFC 4180.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from server.errors import shortened
from server.request_errors import ImportRefused

MOST_BYTES = 1024 * 1024
MOST_LINES = 20_000
LOOKED_AT = 20  # lines from which the separator of cells is told

NAMED = re.compile(  # a link to anything on Spotify: its kind, and its id
    r"(?:spotify:(?://)?|(?:open|play)\.spotify\.com/(?:intl-[a-z-]+/)?(?:embed/)?"
    r"|api\.spotify\.com/v1/)(?:user[:/][^:/]+[:/])?"
    r"(artist|album|track|playlist|show|episode|audiobook|user)s?[:/]([^\s?#/,;:\"'<>|)&]*)",
    re.IGNORECASE,
)
SHORTENED = re.compile(r"\b(?:spotify\.link|spoti\.fi|link\.tospotify\.com)/", re.IGNORECASE)
ID = re.compile(r"[0-9A-Za-z]{22}")
NEARLY_AN_ID = re.compile(r"(?=.*[0-9])(?=.*[A-Z])[0-9A-Za-z]{18,26}")
NOT_SHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
OTHER_FILES = (
    (b"PK\x03\x04", "a spreadsheet (.xlsx, .ods)"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet (.xls)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "compressed"),
)
SEPARATORS = "\t;,|"
OF_IDS = re.compile(r"\b(id|ids|uri|uris|url|urls|link|links|href)\b")
OF_NAMES = re.compile(r"name|names|artist names?")
OF_ARTISTS = re.compile(r"artists?|artist names?")  # names, or what else says which artist
OF_OTHERS = re.compile(r"\b(track|song|title|album|release|playlist|show|user|isrc|upc|ean)s?\b")


@dataclass(frozen=True)
class NotUnderstood:
    """A line that names no artist: its number from 1, its text, shortened, and the reason."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True)
class ImportedArtists:
    """The artists of an import, each once, with their names if a column has them."""

    artists: dict[str, str | None] = field(default_factory=dict)
    faults: list[NotUnderstood] = field(default_factory=list)


def parse(content: bytes) -> ImportedArtists:
    """Find the artists in the content of a file.

    Empty lines, comments (from #) and a header are passed over. Raises ImportRefused for content
    that is no text, or is longer than MOST_BYTES or MOST_LINES.
    """
    lines = _lines(content)
    table = _Table(_separator(lines))
    found = ImportedArtists()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#") or line.lower().startswith("sep="):
            continue
        row = table.read(line)
        if row.artists:
            for artist in row.artists:
                found.artists[artist] = found.artists.get(artist) or row.name
        elif not table.takes_as_header(row):
            text = shortened(NOT_SHOWN.sub(" ", line).strip())
            found.faults.append(NotUnderstood(number, text, row.reason))
        table.started = True
    return found


def artist_of(text: str) -> str | None:
    """Return the id in one id, URI or address of an artist; None if it is none."""
    artists = _Table(",").read(text.strip()).artists
    return artists[0] if len(artists) == 1 else None


@dataclass(frozen=True)
class _Row:
    """One line: its cells, the artists in them, a name if one column has it, or the reason."""

    cells: Sequence[str]
    artists: Sequence[str] = ()
    name: str | None = None
    reason: str = ""


class _Table:
    """Reads lines one after the other; a header says which columns have ids or names."""

    def __init__(self, separator: str) -> None:
        self._separator = separator
        self._header: Sequence[str] = ()
        self.started = False

    def read(self, line: str) -> _Row:
        """Find the artists of a line: links to them, or else cells that are ids."""
        try:
            (cells,) = csv.reader([line], delimiter=self._separator, skipinitialspace=True)
        except (csv.Error, ValueError):
            return _Row((), reason="is too long")
        cells = [cell.strip() for cell in cells]
        links = [link for cell in cells for link in _links(cell)]
        artists = [name for kind, name in links if kind == "artist" and ID.fullmatch(name)]
        if not artists:
            told = self._of_ids(cells, only_meant=bool(links))
            artists = [each for cell in told for each in _ids(cell)]
        if not artists:
            return _Row(cells, reason=_reason(cells, links))
        return _Row(cells, list(dict.fromkeys(artists)), self._name(cells, artists))

    def takes_as_header(self, row: _Row) -> bool:
        """Take the first line as the header if it has words that headers have."""
        words = [_words(cell) for cell in row.cells]
        has_titles = any(
            OF_IDS.search(each) or OF_NAMES.fullmatch(each) or OF_ARTISTS.fullmatch(each)
            for each in words
        )
        if self.started or not has_titles or any(set(cell) & set(":/.") for cell in row.cells):
            return False
        self._header = words
        return True

    def _of_ids(self, cells: Sequence[str], *, only_meant: bool) -> Iterator[str]:
        """Yield the cells that may be ids of artists: by the header, if there is one."""
        titles = [*self._header, *[""] * (len(cells) - len(self._header))]
        meant = [OF_IDS.search(title) is not None and "artist" in title for title in titles]
        for cell, title, is_meant in zip(cells, titles, meant, strict=False):
            is_other = OF_OTHERS.search(title) or OF_NAMES.fullmatch(title)
            if is_meant or not (only_meant or any(meant) or is_other):
                yield cell

    def _name(self, cells: Sequence[str], artists: Sequence[str]) -> str | None:
        """Return the name of a line's only artist, from a column of artists' names."""
        names = OF_ARTISTS
        if not any(OF_OTHERS.search(title) for title in self._header):
            names = re.compile(f"{OF_ARTISTS.pattern}|{OF_NAMES.pattern}")
        for title, cell in zip(self._header, cells, strict=False):
            if names.fullmatch(title) and cell and cell not in artists and not _links(cell):
                return shortened(NOT_SHOWN.sub(" ", cell)) if len(set(artists)) == 1 else None
        return None


def _lines(content: bytes) -> list[str]:
    """Decode content and split it into lines. Raises ImportRefused."""
    if len(content) > MOST_BYTES:
        raise ImportRefused(
            f"The file is larger than {MOST_BYTES // 1024} KiB; import it in parts."
        )
    for beginning, kind in OTHER_FILES:
        if content.startswith(beginning):
            raise ImportRefused(f"The file is {kind}, not text; save it as CSV first.")
    lines = re.split(r"\r\n|\r|\n", _decoded(content))
    if len(lines) > MOST_LINES + 1 or (len(lines) > MOST_LINES and lines[-1]):
        raise ImportRefused(f"The file has more than {MOST_LINES} lines; import it in parts.")
    return lines


def _decoded(content: bytes) -> str:
    """Decode UTF-8 or UTF-16 by its mark, else UTF-8, else Latin 1. Raises ImportRefused."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    if b"\0" in content:
        raise ImportRefused("The file is not text; save it as CSV or text in UTF-8.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")  # names get wrong letters, but ids are ASCII


def _separator(lines: Sequence[str]) -> str:
    """Return what separates cells: by Excel's `sep=`, or what the first lines have most of."""
    if lines and lines[0].lower().startswith("sep=") and lines[0][4:5] in tuple(SEPARATORS):
        return lines[0][4]
    text = "\n".join([line for line in lines if line.strip() and line[0] != "#"][:LOOKED_AT])
    return max(SEPARATORS, key=text.count) if any(map(text.count, SEPARATORS)) else ","


def _links(cell: str) -> list[tuple[str, str]]:
    """List the links to Spotify in a cell, each as kind and id."""
    return [(kind.lower(), name) for kind, name in NAMED.findall(unquote(cell))]


def _ids(cell: str) -> list[str]:
    """List the ids in a cell: the whole cell, or words that can hardly be anything else."""
    text = re.split(r"\s#", cell, maxsplit=1)[0].strip().strip("<>\"'")
    if ID.fullmatch(text):
        return [text]
    return [each for each in text.split() if ID.fullmatch(each) and not each.isalpha()]


def _words(cell: str) -> str:
    """Return the title of a column in a plain form: `Artist URI(s)` becomes `artist uris`."""
    return re.sub(r"[\W_]+", " ", cell.replace("(s)", "s")).strip().lower()


def _reason(cells: Sequence[str], links: Sequence[tuple[str, str]]) -> str:
    """Say why a line names no artist."""
    for kind, name in links:
        if kind == "artist":
            return f"has an id of {len(name)} characters, not 22 letters and digits"
    if links:
        kind = links[0][0]
        return f"is {'an' if kind[0] in 'aeiou' else 'a'} {kind}, not an artist"
    if any(SHORTENED.search(cell) for cell in cells):
        return "is a shortened link: open it, and copy the address of the artist"
    if any(NEARLY_AN_ID.fullmatch(cell) for cell in cells):
        return "has no id of 22 letters and digits"
    return "has no id, URI or address of an artist"
