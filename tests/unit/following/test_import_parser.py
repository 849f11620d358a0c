"""Files of artists that people import: texts, tables, and what spreadsheets make of them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import MOST_REPEATED
from server.following.import_parser import (
    MOST_BYTES,
    MOST_LINES,
    artist_of,
    parse,
)
from server.request_errors import ImportRefused

A, B, C = "4Z8W4fKeB5YxbusRsdQVPb", "0LyfQWJT6nXafLPZqxe9Of", "AbcDefGhiJklMnoPqrStuv"


def artists(text: str) -> list[str]:
    """Return the artists of a text of which every line is understood."""
    found = parse(text.encode())
    assert found.faults == []
    return list(found.artists)


def reasons(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text that are not understood, with the reasons."""
    return [(fault.line, fault.reason) for fault in parse(text.encode()).faults]


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"  {A}\t",
        f'"{A}"',
        f"<{A}>",
        f"{A}  # Radiohead",
        f"{A}  Radiohead",
        f"Radiohead {A}",
        f"spotify:artist:{A}",
        f"SPOTIFY:ARTIST:{A}",
        f"spotify%3Aartist%3A{A}",
        f"spotify://artist/{A}",
        f"https://open.spotify.com/artist/{A}",
        f"https://open.spotify.com/artist/{A}?si=kU5PfVdfTgWb9zGkZ0cVbA",
        f"http://open.spotify.com/intl-de/artist/{A}/discography",
        f"open.spotify.com/intl-pt-br/artist/{A}#top",
        f"https://open.spotify.com/embed/artist/{A}?utm_source=generator",
        f"https://play.spotify.com/artist/{A}",
        f"https://api.spotify.com/v1/artists/{A}",
        f"Listen to Radiohead on Spotify: https://open.spotify.com/artist/{A}?si=x.",
        f"[Radiohead](https://open.spotify.com/artist/{A})",
        f"https://open.spotify.com/track/{B}, spotify:artist:{A}",
    ],
)
def test_an_artist_is_found_however_it_is_written(text: str) -> None:
    assert artists(text) == [A]
    assert artist_of(text) == A


def test_each_artist_counts_once_in_the_order_of_the_lines() -> None:
    assert artists(f"{B}\nspotify:artist:{A}\n\n# comment\n{B}\n") == [B, A]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_tables_have_artists_in_any_column(end: str, separator: str) -> None:
    rows = [["No", "Name", "Spotify ID"], ["1", '"Sigur, Rós; live"', A], ["2", "Björk", B]]
    text = end.join(separator.join(row) for row in rows) + end
    assert parse(text.encode()).artists == {A: "Sigur, Rós; live", B: "Björk"}
    assert parse(text.encode()).faults == []


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"", "utf-8"),
    ],
)
def test_exports_of_spreadsheets_are_read_in_their_encodings(mark: bytes, encoding: str) -> None:
    text = f'sep=;\r\nArtist;URL\r\n"Mötley ""Crüe""";https://open.spotify.com/artist/{A}\r\n'
    found = parse(mark + text.encode(encoding))
    assert (found.artists, found.faults) == ({A: 'Mötley "Crüe"'}, [])


def test_a_table_in_another_encoding_still_gives_its_ids() -> None:
    assert list(parse(f"Björk;{A}".encode("latin-1")).artists) == [A]


def test_a_header_says_which_of_several_ids_are_of_artists() -> None:
    table = f"Track ID,Track Name,Artist ID,Album ID\n{B},Creep,{A},{C}\n"
    assert parse(table.encode()).artists == {A: None}
    exported = (
        "Track URI,Track Name,Artist URI(s),Artist Name(s)\n"
        f'spotify:track:{C},Duet,"spotify:artist:{A},spotify:artist:{B}","One,Two"\n'
        f"spotify:track:{C},Solo,spotify:artist:{A},One\n"
    )
    assert parse(exported.encode()).artists == {A: "One", B: None}
    named = f"artist,album_id\n{A},{B}\n"
    assert parse(named.encode()).artists == {A: None}
    linked = f"Artist ID,Track URL\n{A},https://open.spotify.com/track/{B}\n"
    assert parse(linked.encode()).artists == {A: None}


def test_a_name_as_long_as_an_id_is_none_beside_an_id() -> None:
    assert parse(f"name,id\n{C},{A}\n".encode()).artists == {A: C}
    assert artists(f"{C}") == [C], "alone it can be an id, for ids may have no digit"


def test_lines_that_are_not_understood_are_listed_with_number_text_and_reason() -> None:
    text = "\n".join(
        [
            A,
            "Radiohead",
            f"spotify:album:{B}",
            f"https://open.spotify.com/episode/{B}",
            "https://spotify.link/abc",
            "spotify:artist:tooshort",
            A[:-1],
            "",
            f"spotify:artist:{B}",
        ]
    )
    assert list(parse(text.encode()).artists) == [A, B]
    assert reasons(text) == [
        (2, "has no id, URI or address of an artist"),
        (3, "is an album, not an artist"),
        (4, "is an episode, not an artist"),
        (5, "is a shortened link: open it, and copy the address of the artist"),
        (6, "has an id of 8 characters, not 22 letters and digits"),
        (7, "has no id of 22 letters and digits"),
    ]


def test_the_first_line_is_a_fault_unless_it_is_a_header() -> None:
    assert reasons(f"https://spotify.link/abc\n{A}") == [
        (1, "is a shortened link: open it, and copy the address of the artist")
    ]
    assert reasons(f"spotify:track:{B}\n{A}") == [(1, "is a track, not an artist")]
    assert reasons(f"My favourites\n{A}") == [(1, "has no id, URI or address of an artist")]
    assert reasons(f"Artist,Link\nArtist,Link\n{A}") == [
        (2, "has no id, URI or address of an artist")
    ]


def test_a_line_with_an_open_quote_spoils_no_other() -> None:
    found = parse(f'"Heroes,nothing\n"Weird Al" Yankovic,spotify:artist:{A}\n{B}\n'.encode())
    assert list(found.artists) == [A, B]
    assert [(fault.line, fault.text) for fault in found.faults] == [(1, '"Heroes,nothing')]


def test_the_text_of_a_fault_is_short_and_has_no_control_characters() -> None:
    (fault,) = parse(b"\x1b[31mred\x07 " + b"x" * 300_000).faults
    assert len(fault.text) == MOST_REPEATED
    assert fault.text.endswith("x…")
    assert fault.text.isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x" * (MOST_BYTES + 1), "larger than 1024 KiB"),
        (b"\n" * (MOST_LINES + 1), "more than 20000 lines"),
        (b"PK\x03\x04" + b"\0" * 50, "a spreadsheet (.xlsx, .ods)"),
        (b"\xd0\xcf\x11\xe0", "a spreadsheet (.xls)"),
        (b"%PDF-1.7", "a PDF"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"a\0b", "not text"),
    ],
)
def test_what_is_no_text_or_too_long_is_refused_as_a_whole(content: bytes, reason: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        parse(content)
    assert reason in str(refused.value)


def test_as_many_lines_as_allowed_are_read() -> None:
    ids = [f"{number:022}" for number in range(MOST_LINES)]
    assert artists("\n".join(ids) + "\n") == ids


@pytest.mark.parametrize("text", ["", "Radiohead", f"{A} {B}", f"spotify:track:{A}", A + "x"])
def test_what_names_no_single_artist_is_none(text: str) -> None:
    assert artist_of(text) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_either_read_or_refused(content: bytes) -> None:
    try:
        found = parse(content)
    except ImportRefused:
        return
    letters = set(string.ascii_letters + string.digits)
    assert all(len(each) == 22 and set(each) <= letters for each in found.artists)


LINES = st.text(st.characters(exclude_characters="\0"), max_size=60)


@given(LINES, LINES)
def test_no_neighbour_hides_an_artist(before: str, after: str) -> None:
    text = f"{before}\nspotify:artist:{A}\n{after}"
    assert A in parse(text.encode("utf-8", "replace")).artists
