"""Which releases a query wants: dates at the coarser precision, markets, words, all together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.pages.presenters.formatting import coming_words
from server.catalog import query, selection, zones
from server.catalog.parameters import searchable
from server.catalog.query import ARTIST_FIELDS, ArtistsQuery
from server.catalog.snapshot import AlbumEntry, ArtistEntry, Freshness, Snapshot
from server.errors import InvalidParameters
from server.serving import payload
from tests.support.releases import release as any_release

AT = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
TODAY = AT.date()
FRESH = Freshness(AT, AT, AT, "search", False)


def parse(query_string: str) -> ArtistsQuery:
    return query.parse(ArtistsQuery, query_string)


def artist(number: int, name: str = "") -> ArtistEntry:
    fields = dict.fromkeys(ARTIST_FIELDS[:-2]) | {"spotify_id": f"a{number}", "name": name}
    name = name or f"Artist {number}"
    return ArtistEntry(f"a{number}", name, orjson.dumps(fields), searchable(name))


def release(
    number: int,
    date: str | None = "2026-11-20",
    markets: str | None = None,
    name: str = "",
    by: ArtistEntry | None = None,
) -> AlbumEntry:
    by = by or artist(number)
    name = name or f"Album {number}"
    return AlbumEntry(
        any_release(),
        "album",
        AT + timedelta(seconds=number),
        orjson.dumps({"n": number}),
        (by,),
        release_date=date,
        text="\n".join(map(searchable, (name, by.name))),
        markets=None if markets is None else f" {markets} ",
    )


def chosen(albums: list[AlbumEntry], query_string: str) -> list[int]:
    listed = selection.albums(Snapshot(tuple(albums), FRESH), parse(query_string), TODAY)
    return [orjson.loads(album.json)["n"] for album in listed]


@pytest.mark.parametrize(
    ("date", "bound", "after", "before"),
    [
        ("2026-11-20", "2026-11-20", True, True),
        ("2026-11-20", "2026-11-21", False, True),
        ("2026-11-20", "2026-11-19", True, False),
        ("2026-11-20", "2026-11", True, True),
        ("2026-11-20", "2026-12", False, True),
        ("2026-11-20", "2026", True, True),
        ("2026-11-20", "2025", True, False),
        ("2026-11", "2026-11-20", True, True),
        ("2026-11", "2026-12-01", False, True),
        ("2026", "2026-11-20", True, True),
        ("2026", "2027-01", False, True),
        (None, "2026", False, False),
    ],
)
def test_dates_are_compared_at_the_coarser_precision_and_bounds_are_inside(
    date: str | None, bound: str, after: bool, before: bool
) -> None:
    albums = [release(1, date)]
    assert bool(chosen(albums, f"released_after={bound}")) is after
    assert bool(chosen(albums, f"released_before={bound}")) is before


UPCOMING = {
    "2026-11-21": True,
    "2026-12": True,
    "2027": True,
    "9999-12-31": True,
    "2026-11-20": False,
    "2026-11": False,
    "2026": False,
    "0000": False,
    None: False,
}


@pytest.mark.parametrize(("date", "upcoming"), UPCOMING.items())
def test_a_release_is_upcoming_until_its_day_month_or_year_begins(
    date: str | None, upcoming: bool
) -> None:
    albums = [release(1, date)]
    assert bool(chosen(albums, "upcoming=only")) is upcoming
    assert bool(chosen(albums, "")) is not upcoming
    assert chosen(albums, "upcoming=include") == [1]
    assert (coming_words(date, TODAY) is not None) is upcoming, "pages say the same"


def test_only_what_leaves_nothing_upcoming_out_is_the_same_on_every_day() -> None:
    for query_string in ("", "sort=-seen", "at=2026-11-01", "q=x", "upcoming=only"):
        assert query.depends_on_today(parse(query_string)), query_string
    assert not query.depends_on_today(parse("upcoming=include&sort=-seen&type=ep"))
    assert query.depends_on_today(parse("upcoming=include&days=7"))


@pytest.mark.parametrize(
    ("date", "today", "week", "month"),
    [
        ("2026-11-20", True, True, True),
        ("2026-11-19", False, True, True),
        ("2026-11-14", False, True, True),
        ("2026-11-13", False, False, True),
        ("2026-10-22", False, False, True),
        ("2026-10-21", False, False, False),
        ("2026-11", True, True, True),
        ("2026-10", False, False, True),
        ("2026-09", False, False, False),
        ("2026", True, True, True),
        ("2025", False, False, False),
        ("2026-11-21", False, False, False),
        (None, False, False, False),
    ],
)
def test_the_last_days_include_today_and_dates_without_a_day_that_may_be_among_them(
    date: str | None, today: bool, week: bool, month: bool
) -> None:
    listed = [bool(chosen([release(1, date)], f"days={days}")) for days in (1, 7, 30)]
    assert listed == [today, week, month]
    coming = date == "2026-11-21"
    assert bool(chosen([release(1, date)], "days=1&upcoming=include")) is (today or coming)


def test_the_last_days_reach_into_the_year_before() -> None:
    albums = [release(1, "2027-01-01"), release(2, "2026-12-31"), release(3, "2026-12-30")]
    read, new_year = parse("days=2"), datetime(2027, 1, 1).date()
    listed = selection.albums(Snapshot(tuple(albums), FRESH), read, new_year)
    assert [orjson.loads(album.json)["n"] for album in listed] == [1, 2]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "2026", "2026-11", "2026-12", "2026-13", "2026-11-01"])
            | st.dates(datetime(2026, 10, 30).date(), datetime(2026, 11, 3).date()).map(str),
            st.datetimes(datetime(2026, 10, 30), datetime(2026, 11, 3)),
        ),
        max_size=12,
    ),
    st.sampled_from(["America/New_York", "Asia/Tokyo", "America/Havana", "Pacific/Kiritimati"]),
)
def test_in_a_feed_a_release_comes_in_at_the_top_when_its_day_begins_in_the_zone(
    rows: list[tuple[str | None, datetime]], place: str
) -> None:
    """Whoever looks each hour finds what is new above what was there, when clocks change, too."""
    albums = tuple(
        replace(release(n, date), created_at=seen.replace(tzinfo=UTC))
        for n, (date, seen) in enumerate(rows)
    )
    read = parse(f"sort=-seen&limit=500&tz={place}")
    before: list[AlbumEntry] = []
    for hour in range(24 * 6):
        now = datetime(2026, 10, 29, tzinfo=UTC) + timedelta(hours=hour)
        snapshot = Snapshot(tuple(each for each in albums if each.created_at <= now), FRESH)
        listed = selection.albums(snapshot, read, zones.day_in(now, read.zone))
        added = [each for each in listed if each not in before]
        assert listed == added + before
        before = listed


def test_a_market_shows_what_is_there_and_what_is_unknown() -> None:
    albums = [release(1, markets="DE US"), release(2, markets="US"), release(3, markets="")]
    albums.append(release(4, markets=None))
    assert chosen(albums, "market=DE") == [1, 4]
    assert chosen(albums, "market=us") == [1, 2, 4]
    assert chosen(albums, "") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "words", ["ólafur", "OLAFUR", "olaf", "  Blue   Rain ", "blue%20rain", "rain", "%EF%BC%A2lue"]
)
def test_words_are_found_in_either_name_without_case_accents_width_and_blanks(words: str) -> None:
    albums = [release(1, name="Blue  Rain", by=artist(1, "Ólafur")), release(2, name="Red")]
    assert chosen(albums, f"q={words}") == [1]


@pytest.mark.parametrize("words", ["rainolaf", "rain olaf", "x", "%25", "_", "."])
def test_words_are_no_pattern_and_do_not_reach_from_one_name_into_the_next(words: str) -> None:
    albums = [release(1, name="Blue Rain", by=artist(1, "Olaf"))]
    assert chosen(albums, f"q={words}") == []


@pytest.mark.parametrize("words", ["´", " ", "%20%E3%80%80", "%CC%81", "¨%C2%A0´"])
def test_accents_and_blanks_alone_look_for_nothing(words: str) -> None:
    assert chosen([release(1), release(2)], f"q={words}") == [1, 2]
    assert parse(f"q={words}").href == "/api/artists/", "which is what was understood"


@pytest.mark.parametrize("letter", ["ﷺ", "㌖", "ß", "x"])
def test_a_hundred_letters_are_looked_for_whatever_they_are_folded_to(letter: str) -> None:
    albums = [release(1, name=letter * 120), release(2, name=letter * 99)]
    assert chosen(albums, f"q={quote(letter * 100)}") == [1]
    assert chosen(albums, f"q={quote(letter)}") == [1, 2]


@pytest.mark.parametrize("words", ["", "x" * 101, " " * 101, "ﷺ" * 101])
def test_no_letter_and_more_than_a_hundred_are_refused(words: str) -> None:
    with pytest.raises(InvalidParameters):
        parse(f"q={quote(words)}")


def test_the_limit_counts_what_the_filters_leave() -> None:
    albums = [release(n, f"2026-10-{30 - n:02}", "DE" if n % 2 else "US") for n in range(1, 21)]
    assert chosen(albums, "market=DE&release_limit=3") == [1, 3, 5]
    assert chosen(albums, "market=DE&released_before=2026-10-20&release_limit=3") == [11, 13, 15]


def body(albums: list[AlbumEntry], query_string: str) -> dict[str, Any]:
    snapshot = Snapshot(tuple(albums), FRESH)
    read = parse(query_string)
    built = payload.build(snapshot, read, today=TODAY, stale=False, max_age=15)
    content: dict[str, Any] = orjson.loads(built.body)
    return content


def test_only_the_fields_that_are_asked_for_come_in_the_order_of_the_contract() -> None:
    (item,) = body([release(1)], "fields=albums,name,spotify_id")["items"]
    assert list(item) == ["spotify_id", "name", "albums"]
    (item,) = body([release(1)], "")["items"]
    assert list(item) == list(ARTIST_FIELDS)


def test_markets_come_when_they_are_asked_for() -> None:
    albums = [release(1, markets="DE US"), release(2), release(3, markets="")]
    items = body(albums, "include=markets")["items"]
    assert [item["albums"][0]["available_markets"] for item in items] == [["DE", "US"], None, []]
    assert items[0]["latest_album"] == items[0]["albums"][0]
    assert "available_markets" not in body(albums, "")["items"][0]["albums"][0]


DATES = st.sampled_from([None, "2026", "2025-12", "2026-11", "2026-11-19", "2026-11-20"])
MARKETS = st.sampled_from([None, "", "DE", "DE US", "US"])
RELEASES = st.lists(
    st.tuples(DATES, MARKETS, st.sampled_from(["Rain", "Blue", "Ólaf"]), st.integers(0, 9)),
    max_size=40,
).map(
    lambda rows: [
        release(n, date, markets, name, artist(by)) for n, (date, markets, name, by) in
        enumerate(sorted(rows, key=lambda row: row[0] or "", reverse=True))
    ]
)  # fmt: skip
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "released_after": st.sampled_from(["2026", "2026-11", "2026-11-20"]),
        "released_before": st.sampled_from(["2025", "2026-11", "2026-11-19"]),
        "market": st.sampled_from(["DE", "US", "SE"]),
        "q": st.sampled_from(["rain", "olaf", "artist 3"]),
        "exclude": st.sampled_from(["versions", "various_artists"]),
        "sort": st.sampled_from(["released", "-released", "seen", "-seen", "name", "-name"]),
        "release_limit": st.integers(1, 50).map(str),
    },
).map(lambda given_: "&".join(f"{name}={value}" for name, value in given_.items()))


@settings(max_examples=150)
@given(RELEASES, FILTERS, st.integers(1, 7))
def test_pages_together_are_the_whole_answer_whatever_is_filtered(
    albums: list[AlbumEntry], filters: str, limit: int
) -> None:
    whole = body(albums, f"{filters}&limit=500")["items"]
    paged, href = [], f"/api/artists/?{filters}&limit={limit}"
    while href:
        page = body(albums, href.partition("?")[2])
        paged += page["items"]
        assert page["total"] == len(whole)
        href = page["next"]
    assert paged == whole


@settings(max_examples=300)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=100))
def test_a_search_brought_to_its_normal_form_is_the_same_search(words: str) -> None:
    read = parse(f"q={quote(words)}")
    assert parse(read.href.partition("?")[2]) == read
