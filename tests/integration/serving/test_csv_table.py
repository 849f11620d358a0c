"""The CSV feed computes nothing, whatever program reads it, and says what the names were."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from server.serving.feeds import FORMATS
from server.serving.feeds.csv_table import ACTIVE, COLUMNS, MARK
from tests.support.feed_formats import CHANNEL, HOSTILE
from tests.support.libreoffice import open_csv
from tests.support.releases import release

PATH = "/feeds/albums.csv"
PARTS = [
    *"=+-@,;\t|\"' \n\r:/\\xé1_.)(",
    *"\u00a0\u200b\ufeff\u2028\x85\u0301\ufe0f\u3000＝＋－＠−﹦",
    MARK,
    "=1+1",
    "+1+1",
    "=cmd|'/C calc'!A0",
    '=HYPERLINK("http://x.example")',
    "@SUM(1+1)",
    " - ",
    "x) - 1",
]
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("".join) | st.text(
    st.characters(codec="utf-8"), max_size=30
)
SEPARATORS = [",", ";", "\t", "|", " "]
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"


def table(*names: str) -> str:
    """The feed as text, each name standing for a release's, its artist's, its type's and so on."""
    address = "https://open.spotify.com/{}"
    releases = [
        release(
            each or "x",
            album_type=each,
            external_urls={"spotify": address.format(each)},
            images=[{"url": address.format(each), "height": None, "width": None}],
        )
        for each in names
    ]
    return FORMATS[PATH].write(CHANNEL, releases).decode("utf-8-sig")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def plain(cell: str) -> str:
    """A cell as README says that programs get it back."""
    return re.sub(f"{MARK}({ACTIVE.pattern})", r"\1", cell)


def pieces(text: str) -> Iterator[str]:
    """All cells that any reader could make of it, whose separator is no part of words."""
    for separator in set(text):
        if not separator.isalnum() and not unicodedata.category(separator).startswith("M"):
            yield from text.split(separator)
    for separator in SEPARATORS:
        for quote in ('"', "'"):
            lines = io.StringIO(text, newline="")
            for row in csv.reader(lines, delimiter=separator, quotechar=quote):
                yield from row


def computes(piece: str) -> bool:
    """Whether a spreadsheet could take it for a formula, which an active character alone is not."""
    stripped = piece.lstrip("".join(chr(each) for each in range(33)) + "\u00a0\u3000\"'")
    while stripped and unicodedata.category(stripped[0]) in ("Cf", "Mn", "Zs", "Zl", "Zp", "Cc"):
        stripped = stripped[1:]
    return bool(ACTIVE.match(stripped)) and len(stripped.rstrip()) > 1


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "ʼ=1+1"),
        ("x;=1+1", "x;ʼ=1+1"),
        ("\t=1", "\tʼ=1"),
        (" +1", " ʼ+1"),
        ("x\n-1", "x\nʼ-1"),
        ("'=1", "'ʼ=1"),
        ("\ufeff@x", "\ufeffʼ@x"),
        ("＝1", "ʼ＝1"),
        ("==", "ʼ=ʼ="),
        ("Spider-Man", "Spider-Man"),
        ("50+1", "50+1"),
        ("a@b", "a@b"),
        ("Tides - Remix", "Tides - Remix"),
        ("Tides -Remix", "Tides ʼ-Remix"),
        ("Tides; - 1", "Tides; ʼ- 1"),
        ("Tides - -1", "Tides - ʼ-1"),
        ("Tides -", "Tides ʼ-"),
        ("cafe\u0301-bar", "cafe\u0301-bar"),
        ("ʼ=", "ʼʼ="),
        ("Qaraqalpaqʼiston", "Qaraqalpaqʼiston"),
    ],
)
def test_an_active_character_is_marked_where_a_formula_could_begin(name: str, cell: str) -> None:
    (row,) = rows(table(name))
    assert row["name"] == row["artists"] == row["type"] == cell
    assert plain(cell) == name


def test_an_address_is_escaped_instead_and_leads_to_the_same_place() -> None:
    (row,) = rows(table("x;=1,-2?a=b-c&d=＝"))
    expected = "https://open.spotify.com/x;%3D1,%2D2?a=b-c&d=%EF%BC%9D"
    assert (row["url"], row["cover"]) == (expected, expected)


def test_what_unicode_holds_for_an_active_character_is_one() -> None:
    alike = {
        chr(each)
        for each in range(0x110000)
        if unicodedata.normalize("NFKC", chr(each))[:1] in tuple("=+-@\N{MINUS SIGN}")
    }
    assert {each for each in alike if not ACTIVE.fullmatch(each)} == set()


def test_it_begins_with_a_byte_order_mark_and_the_names_of_the_columns() -> None:
    body = FORMATS[PATH].write(CHANNEL, [release("é")])
    assert body.startswith(b"\xef\xbb\xbfspotify_id,name,artists,")
    assert body.count(b"\xef\xbb\xbf") == 1
    (row,) = rows(body.decode("utf-8-sig"))
    assert (list(row), row["name"]) == (list(COLUMNS), "é")


@settings(max_examples=300)
@given(st.lists(NAMES, max_size=3))
def test_no_cell_of_any_reader_begins_with_an_active_character(names: list[str]) -> None:
    text = table(*names)
    assert [piece for piece in pieces(text) if computes(piece)] == []
    cleaned = [release(each or "x").name for each in names]
    assert [plain(row["name"]) for row in rows(text)] == cleaned


@pytest.mark.parametrize("separator", SEPARATORS)
def test_the_test_above_would_find_a_formula(separator: str) -> None:
    for name in (f"x{separator}=1+1", f"x{separator} -1", f"x{separator}'@a"):
        assert [piece for piece in pieces(f'a,"{name}",b') if computes(piece)], name


# How LibreOffice is told to read: separators, quote, UTF-8, from line 1 on, quoted formulas too,
# numbers recognised, blanks around cells removed, formulas evaluated.
READ = "{},{},76,1,,0,false,true,false,false,true,0,true"
READERS = {
    "comma": ("44", 34, ","),
    "semicolon": ("59", 34, ";"),
    "TAB": ("9", 34, "\t"),
    "all of them and blanks, quoted by an apostrophe": ("44/59/9/124/32/MRG", 39, " "),
}


def formulas(sheet: Path) -> list[str]:
    cells = etree.parse(sheet).iter(f"{TABLE}table-cell")
    return [each.get(f"{TABLE}formula") for each in cells if each.get(f"{TABLE}formula")]


def made_up_names() -> list[str]:
    names = list(HOSTILE)

    @settings(max_examples=150, database=None, derandomize=True)
    @given(NAMES)
    def collect(name: str) -> None:
        names.append(name)

    collect()
    return names


@pytest.mark.slow
def test_libreoffice_computes_nothing(tmp_path: Path) -> None:
    ours = tmp_path / "ours.csv"
    names = made_up_names()
    ours.write_bytes(FORMATS[PATH].write(CHANNEL, [release(each or "x") for each in names]))
    files = []
    for number, (separators, quote, separator) in enumerate(READERS.values()):
        naive = tmp_path / f"naive{number}.csv"
        naive.write_text(f"a,x{separator}=1+1", encoding="utf-8")
        files += [(each, READ.format(separators, quote)) for each in (ours, naive)]
    sheets = open_csv(files, tmp_path)
    for name, sheet, control in zip(READERS, sheets[::2], sheets[1::2], strict=True):
        assert formulas(control) == ["of:=1+1"], f"{name}: or it would not see one"
        assert formulas(sheet) == [], name
        assert len(sheet.read_bytes()) > 50_000
        (first, *_) = etree.parse(sheet).iter(f"{TABLE}table-cell")
        text = "".join(first.itertext()).strip()
        assert text.startswith("spotify_id"), "no byte order mark in it"
