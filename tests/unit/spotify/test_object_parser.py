"""Album objects become releases: every quirk that was ever seen, and everything that never was."""

from datetime import date
from string import ascii_uppercase
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from server.database.executor import Database
from server.spotify.list_parser import parse_items
from server.spotify.object_parser import (
    MAX_ADDRESS_LENGTH,
    MAX_CREDITS,
    MAX_GENRES,
    MAX_IMAGES,
    MAX_LINKS,
    MAX_TEXT_LENGTH,
    ParsedRelease,
    parse_artists,
)
from tests.support.examples import album, artist, spotify_id
from tests.support.parsed_albums import check
from tests.support.paths import SHARED

VARIOUS_ARTISTS = "0LyfQWJT6nXafLPZqxe9Of"


def parsed(**fields: Any) -> ParsedRelease:
    """The release that an otherwise sound album becomes."""
    page = parse_items([album(1, **fields)])
    assert page.skipped == 0
    return page.releases[0]


def without(field: str) -> ParsedRelease:
    item = album(1)
    del item[field]
    return parse_items([item]).releases[0]


# Items


def test_a_sound_album_keeps_everything() -> None:
    release = parsed(available_markets=["SE", "DE"])
    assert release.model_dump() == {
        "spotify_id": spotify_id("album", 1),
        "name": "Album 1",
        "album_type": "album",
        "release_date": "2026-11-20",
        "release_date_precision": "day",
        "released_on": date(2026, 11, 20),
        "total_tracks": 10,
        "uri": f"spotify:album:{spotify_id('album', 1)}",
        "href": f"https://api.spotify.com/v1/albums/{spotify_id('album', 1)}",
        "images": album(1)["images"],
        "external_urls": {"spotify": f"https://open.spotify.com/album/{spotify_id('album', 1)}"},
        "available_markets": ["DE", "SE"],
        "artists": (
            {
                "spotify_id": spotify_id("artist", 1),
                "name": "Artist 1",
                "uri": f"spotify:artist:{spotify_id('artist', 1)}",
                "href": f"https://api.spotify.com/v1/artists/{spotify_id('artist', 1)}",
                "external_urls": artist(1)["external_urls"],
            },
        ),
    }


def test_null_items_are_skipped_and_counted() -> None:
    page = parse_items([album(1), None, album(2), None])
    assert [release.name for release in page.releases] == ["Album 1", "Album 2"]
    assert (page.skipped, page.nameless) == (2, 2)


@pytest.mark.parametrize("item", [0, True, "album", [], {}, [album(1)], {"album": album(1)}, 1.5])
def test_what_is_no_album_is_skipped(item: Any) -> None:
    page = parse_items([item, album(2)])
    assert [release.name for release in page.releases] == ["Album 2"]
    assert (page.skipped, page.nameless, page.skipped_ids) == (1, 1, frozenset())


@pytest.mark.parametrize(
    "identity",
    [
        None,
        17,
        "",
        "short",
        "a" * 21,
        "a" * 23,
        "a" * 21 + "-",
        "a" * 21 + "\x00",
        "a" * 22 + "\n",
        "а" * 22,
        ["a" * 22],
    ],
)
def test_an_album_without_a_sound_id_is_skipped_and_nameless(identity: Any) -> None:
    page = parse_items([album(1, id=identity)])
    assert page.releases == []
    assert (page.skipped, page.nameless, page.skipped_ids) == (1, 1, frozenset())


@pytest.mark.parametrize("name", [None, 17, {}, ["name"]])
def test_an_album_without_a_name_is_skipped_but_known_by_its_id(name: Any) -> None:
    page = parse_items([album(1, name=name), album(1, name=name), None])
    assert page.releases == []
    assert page.skipped == 3
    assert page.nameless == 1
    assert page.skipped_ids == {spotify_id("album", 1)}


def test_the_same_album_twice_is_one_the_first() -> None:
    page = parse_items([album(1, name="first"), album(2), album(1, name="again")])
    assert [release.name for release in page.releases] == ["first", "Album 2"]
    assert page.skipped == 0


def test_the_same_album_under_several_ids_is_several_releases() -> None:
    page = parse_items([album(1, name="Same"), album(2, name="Same")])
    assert len(page.releases) == 2


def test_one_broken_item_leaves_the_others() -> None:
    items = [album(number) for number in range(100)]
    items[50] = {"id": None, "artists": {"deep": [[[]]]}}
    assert len(parse_items(items).releases) == 99


def test_fields_nobody_knows_are_ignored() -> None:
    release = parsed(is_playable=True, album_group="single", restrictions={"reason": "market"})
    assert release == parsed()


# Text


def test_very_long_names_are_kept_whole_and_endless_ones_are_cut() -> None:
    longest = "é" * MAX_TEXT_LENGTH
    assert parsed(name=longest).name == longest
    assert parsed(name=f"{longest}x").name == longest


def test_addresses_that_are_too_long_are_left_out_and_not_cut() -> None:
    longest = "https://x.example/".ljust(MAX_ADDRESS_LENGTH, "y")
    for address, is_kept in ((longest, True), (f"{longest}y", False)):
        release = parsed(
            uri=address,
            href=address,
            external_urls={"spotify": address},
            images=[{"url": address}],
        )
        kept = (release.uri, release.href, release.external_urls.get("spotify"))
        assert kept == ((address,) * 3 if is_kept else (None,) * 3)
        assert [each.url for each in release.images] == [address] * is_kept


def test_every_list_and_object_of_an_item_has_a_bound() -> None:
    links = {str(number): "https://x.example/" for number in range(1000)}
    assert len(parsed(external_urls=links).external_urls) == MAX_LINKS
    (details,) = parse_artists([artist(1) | {"genres": [*map(str, range(1000))]}])
    assert len(details.genres or ()) == MAX_GENRES
    every_pair = [f"{a}{b}" for a in ascii_uppercase for b in ascii_uppercase]
    assert len(parsed(available_markets=every_pair * 5).available_markets or ()) == 676


def test_empty_names_are_names() -> None:
    assert parsed(name="").name == ""


def test_names_in_any_script_are_kept_as_they_are() -> None:
    name = "Ａ\u202e‮ﷺ 𝕏 👩‍👩‍👧 e\u0301"
    assert parsed(name=name).name == name


def test_characters_that_the_database_cannot_hold_vanish_everywhere() -> None:
    bad = "a\x00b\ud800c\udfff"
    release = parsed(
        name=bad,
        album_type=bad,
        uri=bad,
        href=bad,
        external_urls={bad: f"https://{bad}", "\x00": "https://x"},
        images=[{"url": f"https://{bad}", "width": 1}],
        artists=[artist(1, name=bad, uri=bad, href=bad, external_urls={bad: f"http://{bad}"})],
    )
    assert release.name == release.album_type == release.uri == release.href == "abc"
    assert release.external_urls == {"abc": "https://abc", "": "https://x"}
    assert release.images[0].url == "https://abc"
    credit = release.artists[0]
    assert (credit.name, credit.uri, credit.href) == ("abc", "abc", "abc")
    assert credit.external_urls == {"abc": "http://abc"}


@pytest.mark.parametrize("field", ["uri", "href"])
@pytest.mark.parametrize("value", [None, 17, [], {}])
def test_an_unusable_link_is_unknown(field: str, value: Any) -> None:
    assert getattr(parsed(**{field: value}), field) is None
    assert getattr(without(field), field) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, {}),
        ([], {}),
        ("https://x", {}),
        ({"spotify": None}, {}),
        ({"spotify": 5}, {}),
        ({"spotify": "javascript:alert(1)"}, {}),
        ({"spotify": "https://x", "other": []}, {"spotify": "https://x"}),
    ],
)
def test_only_web_addresses_are_external_urls(value: Any, read: dict[str, str]) -> None:
    assert parsed(external_urls=value).external_urls == read


# Types and counts


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("album", "album"),
        ("single", "single"),
        ("compilation", "compilation"),
        ("ep", "ep"),
        ("EP", "ep"),
        ("ALBUM", "album"),
        (None, None),
        (17, None),
        ([], None),
        ("x" * 10_000, None),
    ],
)
def test_album_types_are_lower_case_or_unknown(kind: Any, read: str | None) -> None:
    assert parsed(album_type=kind).album_type == read
    assert without("album_type").album_type is None


@pytest.mark.parametrize(
    ("count", "read"),
    [
        (0, 0),
        (12, 12),
        (2**31 - 1, 2**31 - 1),
        (2**31, None),
        (10**30, None),
        (1e30, None),
        (-1, None),
        (1.5, None),
        (True, None),
        (None, None),
        ("many", None),
        ("9" * 5000, None),
        ([], None),
    ],
)
def test_a_count_fits_the_database_or_is_unknown(count: Any, read: int | None) -> None:
    assert parsed(total_tracks=count).total_tracks == read
    assert parsed(images=[{"url": "https://x", "width": count}]).images[0].width == read


# Dates


@pytest.mark.parametrize(
    ("text", "precision"),
    [("2026", "year"), ("2026-11", "month"), ("2026-11-20", "day"), ("1900", "year")],
)
@pytest.mark.parametrize("told", ["day", "month", "year", None, 17, "century", []])
def test_a_dates_length_tells_its_precision_whatever_is_told(
    text: str, precision: str, told: Any
) -> None:
    release = parsed(release_date=text, release_date_precision=told)
    assert (release.release_date, release.release_date_precision) == (text, precision)
    assert (release.released_on is None) == (precision != "day")


def test_a_missing_precision_is_found_as_well() -> None:
    assert without("release_date_precision").release_date_precision == "day"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "soon",
        "20",
        "26-11-20",
        "2026-13",
        "2026-00",
        "2026-11-31",
        "2026-11-00",
        "2023-02-30",
        "2023-02-29",
        "2026-11-20T00:00:00Z",
        "2026-11-20\n",
        " 2026",
        "20261120",
        "2026/11/20",
        "-2026",
        "２０２６",
        "٢٠٢٦",
        "2026-1",
        "0000-01-01",
        20261120,
        2026,
        ["2026"],
        {"year": 2026},
    ],
)
def test_a_date_that_is_none_is_unknown(text: Any) -> None:
    release = parsed(release_date=text, release_date_precision="day")
    assert release.release_date is None
    assert release.release_date_precision is None
    assert release.released_on is None


def test_a_list_from_before_2018_has_no_dates() -> None:
    release = without("release_date")
    assert (release.release_date, release.release_date_precision) == (None, None)


def test_the_year_0000_is_kept_for_it_sorts_last() -> None:
    release = parsed(release_date="0000", release_date_precision="year")
    assert (release.release_date, release.released_on) == ("0000", None)


@pytest.mark.parametrize("text", ["2024-02-29", "0001-01-01", "9999-12-31"])
def test_the_ends_of_the_calendar_are_days(text: str) -> None:
    assert parsed(release_date=text).released_on == date.fromisoformat(text)


def test_a_day_is_not_taken_from_the_item() -> None:
    assert parsed(release_date="2026", released_on="2026-11-20").released_on is None


# Images


def widths(images: Any) -> list[int | None]:
    return [image.width for image in parsed(images=images).images]


def image(width: Any) -> dict[str, Any]:
    return {"url": "https://i.scdn.co/image/x", "width": width, "height": width}


def test_images_in_any_order_come_widest_first() -> None:
    assert widths([image(64), image(640), image(300)]) == [640, 300, 64]


def test_images_without_width_come_last() -> None:
    assert widths([image(None), {"url": "https://x"}, image(64), image(640)]) == [
        640,
        64,
        None,
        None,
    ]


@pytest.mark.parametrize("images", [None, [], {}, "https://x", 17, [None, 5, "x", []]])
def test_no_images_at_all(images: Any) -> None:
    assert not parsed(images=images).images
    assert not without("images").images


@pytest.mark.parametrize("url", [None, "", 17, "javascript:alert(1)", "//x", "data:image/png,"])
def test_an_image_without_an_address_is_left_out(url: Any) -> None:
    assert widths([image(300) | {"url": url}, image(64)]) == [64]


# Markets


@pytest.mark.parametrize("markets", [None, "DE", {}, 17])
def test_absent_markets_are_unknown(markets: Any) -> None:
    assert parsed(available_markets=markets).available_markets is None
    assert without("album_type").available_markets is None


def test_empty_markets_are_empty_and_not_unknown() -> None:
    assert parsed(available_markets=[]).available_markets == []


def test_markets_are_sorted_codes_each_once() -> None:
    given_markets = ["SE", "DE", "SE", "de", "DEU", "D", "", "US\n", "\x00\x00", None, 17, ["FR"]]
    assert parsed(available_markets=given_markets).available_markets == ["DE", "SE"]


# Artists


def credited(artists: Any) -> list[str]:
    return [credit.name for credit in parsed(artists=artists).artists]


def test_artists_keep_the_order_of_the_credits() -> None:
    assert credited([artist(3), artist(1), artist(2)]) == ["Artist 3", "Artist 1", "Artist 2"]


def test_an_artist_credited_twice_stands_where_it_stood_first() -> None:
    twice = [artist(1, name="first"), artist(2), artist(1, name="again"), artist(3), artist(2)]
    assert credited(twice) == ["first", "Artist 2", "Artist 3"]


@pytest.mark.parametrize("artists", [None, [], {}, "Artist", 17, [None, 5, []]])
def test_no_artists_at_all(artists: Any) -> None:
    assert credited(artists) == []
    assert without("artists").artists == ()


def test_broken_artists_are_left_out_and_the_others_stay() -> None:
    broken = [artist(1, id="x"), artist(2), artist(3, name=None), {"name": "?"}, artist(4, id=None)]
    assert credited(broken) == ["Artist 2"]


def test_various_artists_are_an_artist_like_any_other() -> None:
    release = parsed(artists=[artist(1, id=VARIOUS_ARTISTS, name="Various Artists")])
    assert release.artists[0].spotify_id == VARIOUS_ARTISTS


def test_an_album_by_hundreds_is_kept_whole_and_of_more_the_first_ones() -> None:
    artists = [artist(number) for number in range(MAX_CREDITS + 1)]
    assert len(credited(artists[:-1])) == MAX_CREDITS
    assert credited(artists) == credited(artists[:-1])


@pytest.mark.parametrize(("name", "most"), [("artists", MAX_CREDITS), ("images", MAX_IMAGES)])
def test_a_release_of_which_something_is_left_out_is_counted(name: str, most: int) -> None:
    for count, shortened in ((most, ()), (most + 1, (album(1)["id"],))):
        page = parse_items([album(1, **{name: [{}] * count}), album(2), None])
        assert page.shortened_ids == shortened
        assert (len(page.releases), page.skipped) == (2, 1)


# Everything else


def test_deep_garbage_is_passed_over() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep, {"id": deep}]
    release = parsed(images=deep, artists=deep, external_urls=deep, available_markets=deep)
    assert not release.images
    assert not release.artists
    assert not release.external_urls
    assert parse_items([deep]).skipped == 1


def test_what_is_parsed_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parsed().name = "other"  # type: ignore[misc]  # what is tested


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)
IDS = st.text("AZaz09", min_size=22, max_size=22)
LINKS = st.sampled_from(["https://a\x00b", "http://x", "spotify:album:1", "\x00"])
DATES = st.from_regex(r"\d{4}(-\d\d(-\d\d)?)?\n?", fullmatch=True)
NUMBERS = st.sampled_from([0, 1, 300, 640, -1, 2**31 - 1, 2**31, 2**63, 10**40, 1e300, "7", True])


def mostly(sound: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return sound | JSON


URLS = mostly(st.dictionaries(st.text(max_size=5), mostly(LINKS), max_size=3))
IMAGES = st.fixed_dictionaries(
    {}, optional={"url": mostly(LINKS), "width": mostly(NUMBERS), "height": mostly(NUMBERS)}
)
ARTISTS = st.fixed_dictionaries(
    {"id": mostly(IDS), "name": mostly(st.text(max_size=9))},
    optional={"uri": mostly(LINKS), "href": mostly(LINKS), "external_urls": URLS},
)
ALBUMS = st.fixed_dictionaries(
    {"id": mostly(IDS), "name": mostly(st.text(max_size=9))},
    optional={
        "album_type": mostly(st.sampled_from(["ep", "SINGLE", "a\x00", "y" * 5000])),
        "release_date": mostly(DATES),
        "release_date_precision": mostly(st.sampled_from(["day", "month", "year"])),
        "released_on": mostly(DATES),
        "total_tracks": mostly(NUMBERS),
        "uri": mostly(LINKS),
        "href": mostly(LINKS),
        "images": mostly(st.lists(mostly(IMAGES), max_size=4)),
        "external_urls": URLS,
        "available_markets": mostly(st.lists(mostly(st.text("AZ\n\x00", max_size=3)), max_size=4)),
        "artists": mostly(st.lists(mostly(ARTISTS), max_size=4)),
    },
)


@given(st.lists(mostly(ALBUMS), max_size=5))
def test_whatever_comes_nothing_is_raised_and_every_release_is_sound(items: list[Any]) -> None:
    page = parse_items(items)
    assert len(page.releases) + page.skipped <= len(items)
    assert page.nameless + len(page.skipped_ids) <= page.skipped
    for identity in page.skipped_ids:
        assert identity.isascii()
        assert identity.isalnum()
        assert len(identity) == 22
    assert len({release.spotify_id for release in page.releases}) == len(page.releases)
    for release in page.releases:
        check(release)


@pytest.mark.gen_test
async def test_postgresql_takes_as_jsonb_whatever_json_text_is_let_through(
    database: Database,
) -> None:
    """All that orjson reads, put where text stands: code points at the edges of every range."""
    edges = (0, 1, 8, 0x1F, 0x22, 0x5C, 0x7F, 0x85, 0x2028, 0xD7FF, 0xE000, 0xFFFE, 0xFFFF)
    wild = "".join(map(chr, (*edges, 0x10000, 0x10FFFF)))
    item = album(
        1,
        name=wild,
        uri=wild,
        href=wild,
        external_urls={wild: f"https://{wild}"},
        images=[{"url": f"https://{wild}", "width": 1}],
        artists=[artist(1, name=wild, uri=wild, href=wild, external_urls={wild: "http://x"})],
    )
    release = parse_items([orjson.loads(orjson.dumps(item))]).releases[0]
    rows = orjson.loads(orjson.dumps(release.model_dump()))

    def there_and_back(session: Session) -> Any:
        return session.scalar(select(bindparam("rows", rows, type_=JSONB)))

    assert await database.run(there_and_back) == rows


def recorded() -> list[Any]:
    folder = SHARED / "spotify" / "recorded"
    files = [*sorted(folder.glob("new-releases/*.json")), *sorted(folder.glob("search/*.json"))]
    files = [file for file in files if not file.name.endswith(".headers.json")]
    if not files:
        reason = "the answers recorded of Spotify are not beside this project"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(file, id=file.stem) for file in files]


@pytest.mark.parametrize("file", recorded())
def test_every_recorded_listing_is_read_without_loss(file: Any) -> None:
    content = orjson.loads(file.read_bytes())
    items = (content.get("albums") or {}).get("items") or []
    page = parse_items(items)
    assert page.skipped == sum(item is None for item in items)
    ids = {item["id"] for item in items if item}
    assert {release.spotify_id for release in page.releases} == ids
    for release in page.releases:
        check(release)
