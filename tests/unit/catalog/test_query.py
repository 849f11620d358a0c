"""A query string is read once, checked whole, and brought to a normal form."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import product
from string import ascii_letters
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog import query
from server.catalog.query import FEEDS, KINDS, ArtistsQuery, Portion, ReleaseQuery
from server.countries import CODES, MISTAKEN, PATTERN
from server.errors import InvalidParameters
from server.request_errors import UriTooLong
from server.standin.catalogue.releases import MARKETS
from tests.support.examples import spotify_id


def parse(query_string: str) -> ArtistsQuery:
    return query.parse(ArtistsQuery, query_string)


def faults(query_string: str) -> list[tuple[str, str | None]]:
    with pytest.raises(InvalidParameters) as raised:
        parse(query_string)
    return [(fault["parameter"], fault["value"]) for fault in raised.value.faults]


def test_nothing_given_means_the_defaults() -> None:
    assert parse("") == ArtistsQuery()
    assert ArtistsQuery().href == "/api/artists/"
    assert (ArtistsQuery().bound, ArtistsQuery().start, ArtistsQuery().limit) == (20, 0, None)


@pytest.mark.parametrize("kind", KINDS.values())
def test_only_a_list_that_nothing_bounds_is_cut_at_the_usual_number(
    kind: type[ReleaseQuery],
) -> None:
    usual = 50 if kind.path.startswith("/feeds/") else 20
    cut = {"": usual, "sort=name": usual, "release_limit=7": 7, "release_limit=7&limit=5": 7}
    for wanted, bound in cut.items():
        assert query.parse(kind, wanted).bound == bound
    for wanted in ("limit=5", "offset=5", "offset=0", "limit=5&offset=0"):
        assert query.parse(kind, wanted).bound is None


@pytest.mark.parametrize(
    ("given_", "href"),
    [
        ("release_limit=20", "/api/artists/"),
        ("release_limit=020&offset=0", "/api/artists/"),
        ("offset=0", "/api/artists/?offset=0"),
        ("limit=5&offset=0", "/api/artists/?limit=5"),
        ("release_limit=20&limit=5", "/api/artists/?release_limit=20&limit=5"),
        ("release_limit=20&offset=5", "/api/artists/?release_limit=20&offset=5"),
        ("release_limit=9&offset=0", "/api/artists/?release_limit=9"),
    ],
)
def test_the_normal_form_has_no_number_that_changes_nothing(given_: str, href: str) -> None:
    assert parse(given_).href == href
    assert parse(href.partition("?")[2]) == parse(given_)


def test_a_feed_lists_what_was_seen_last_unless_another_order_is_asked_for() -> None:
    for kind in FEEDS:
        assert query.parse(kind, "release_limit=50&sort=-seen").href == kind.path
        assert query.parse(kind, "sort=-released").href == f"{kind.path}?sort=-released"


def test_the_normal_form_shows_what_was_understood_in_a_fixed_order() -> None:
    read = query.parse(
        ArtistsQuery, "sort=name&unknown=1&type=single,album,single&limit=007&release_limit=30"
    )
    assert read.href == "/api/artists/?release_limit=30&limit=7&type=album,single&sort=name"
    assert parse(read.href.partition("?")[2]) == read


@pytest.mark.parametrize(
    "value",
    ["abc", "-1", "0", "201", "", "''", "1.0", "+5", " 5", "1_0", "٥", "9" * 30, "%00", "%zz"],
)
def test_a_release_limit_that_is_no_number_from_1_to_200_is_a_fault(value: str) -> None:
    ((parameter, shown),) = faults(f"release_limit={value}")
    assert parameter == "release_limit"
    assert shown is not None


@pytest.mark.parametrize("given_", ["limit=0", "limit=501", "offset=-1", "offset=x", "limit="])
def test_paging_out_of_bounds_is_a_fault(given_: str) -> None:
    assert faults(given_)[0][0] == given_.partition("=")[0]


@pytest.mark.parametrize("kind", KINDS.values())
def test_a_cursor_excludes_what_selects_other_items(kind: type[ReleaseQuery]) -> None:
    for given_ in ("release_limit=20&offset=5", "release_limit=50&offset=5&limit=7"):
        with pytest.raises(InvalidParameters) as raised:
            query.parse(kind, f"cursor=x&{given_}")
        told = [(fault["parameter"], fault["reason"][:30]) for fault in raised.value.faults]
        reason = "cannot be combined with cursor"
        assert told == [("release_limit", reason), ("offset", reason)]
    assert query.parse(kind, "offset=00&cursor=x").href == f"{kind.path}?cursor=x"


@pytest.mark.parametrize(
    "given_", ["kind=", "kind=EP", "kind=ep,", "kind=mixtape", "kind=ep;single"]
)
def test_an_unknown_kind_is_a_fault(given_: str) -> None:
    assert [parameter for parameter, _ in faults(given_)] == ["kind"]
    assert parse("kind=ep,single").href == "/api/artists/?kind=single,ep"


@pytest.mark.parametrize(
    "given_", ["type=", "type=album,", "type=mixtape", "type=Album", "type=ep ep"]
)
def test_an_unknown_type_is_a_fault(given_: str) -> None:
    assert [parameter for parameter, _ in faults(given_)] == ["type"]


@pytest.mark.parametrize(
    ("given_", "href"),
    [
        ("exclude=versions", "?exclude=versions"),
        ("exclude=versions,various_artists,versions", "?exclude=various_artists,versions"),
        ("sort=name&exclude=versions&type=ep", "?type=ep&exclude=versions&sort=name"),
    ],
)
def test_what_is_excluded_is_a_list_with_an_order_of_its_own(given_: str, href: str) -> None:
    assert parse(given_).href == f"/api/artists/{href}"


@pytest.mark.parametrize(
    "given_", ["exclude=", "exclude=versions,", "exclude=album", "exclude=Versions", "exclude"]
)
def test_an_unknown_exclusion_is_a_fault(given_: str) -> None:
    assert [parameter for parameter, _ in faults(given_)] == ["exclude"]


@pytest.mark.parametrize(
    ("given_", "market"), [("de", "DE"), ("GB", "GB"), ("xK", "XK"), ("AX", "AX")]
)
def test_a_market_is_a_country_code_in_capitals_or_not(given_: str, market: str) -> None:
    assert parse(f"market={given_}").href == f"/api/artists/?market={market}"


@pytest.mark.parametrize(
    ("given_", "hint"),
    [
        ("ZZ", ""),
        ("uk", "; for UK use GB"),
        ("EL", "; for EL use GR"),
        ("EU", ""),
        ("Germany", ""),
        ("", ""),
        ("D", ""),
        ("\N{LATIN SMALL LETTER SHARP S}", ""),  # which is SS in capitals, South Sudan
        ("DE,US", ""),
    ],
)
def test_a_market_that_is_no_country_is_a_fault_with_a_hint(given_: str, hint: str) -> None:
    with pytest.raises(InvalidParameters) as raised:
        parse(urlencode({"market": given_}))
    (fault,) = raised.value.faults
    assert (fault["parameter"], fault["value"]) == ("market", given_)
    assert fault["reason"] == f"must be a country code of ISO 3166-1 alpha-2, such as DE{hint}"


def test_the_pattern_of_a_market_is_what_is_accepted() -> None:
    for first, second in product(ascii_letters, repeat=2):
        code = first + second
        accepted = True
        try:
            parse(f"market={code}")
        except InvalidParameters:
            accepted = False
        assert accepted == bool(re.search(PATTERN, code)), code
    assert len(CODES) == 250
    assert {*MISTAKEN.values(), *MARKETS} <= CODES
    assert CODES.isdisjoint(MISTAKEN)


@pytest.mark.parametrize("given_", ["sort=", "sort=date", "sort=--name", "sort=+name"])
def test_an_unknown_order_is_a_fault(given_: str) -> None:
    assert [parameter for parameter, _ in faults(given_)] == ["sort"]


def test_artists_are_a_list_of_ids_in_an_order_of_its_own() -> None:
    one, two = spotify_id("artist", 1), spotify_id("artist", 2)
    read = parse(f"artist={two},{one},{two}")
    assert read.href == f"/api/artists/?artist={one},{two}"
    assert parse(read.href.partition("?")[2]) == read
    assert read.portion == Portion(artists=(one, two))
    assert parse(f"artist={one}&at=2026-11-20").portion == Portion("2026-11-20", "UTC")
    assert parse("").portion is None
    fifty = [spotify_id("artist", number) for number in range(50)]
    assert parse(f"artist={','.join(fifty)}").artist == tuple(fifty)


@pytest.mark.parametrize(
    "given_",
    [
        "",
        ",",
        "x",
        "17",
        spotify_id("artist", 1) + ",",
        spotify_id("artist", 1)[1:],
        spotify_id("artist", 1) + "0",
        spotify_id("artist", 1) + "%0A",
        f"spotify:artist:{spotify_id('artist', 1)}",
        spotify_id("artíst", 1),
        ",".join(spotify_id("artist", number) for number in range(51)),
    ],
)
def test_what_is_no_list_of_up_to_fifty_ids_is_a_fault(given_: str) -> None:
    assert [parameter for parameter, _ in faults(f"artist={given_}")] == ["artist"]


@pytest.mark.parametrize("given_", ["days=0", "days=91", "days=", "days=-1", "days=7d", "days=1.5"])
def test_days_are_a_number_from_1_to_90(given_: str) -> None:
    assert [parameter for parameter, _ in faults(given_)] == ["days"]
    assert parse("days=090").href == "/api/artists/?days=90"


@pytest.mark.parametrize("given_", ["tz=", "tz=Mars/Base", "tz=europe/berlin", "tz=America"])
def test_a_zone_that_is_not_known_is_a_fault_and_no_other_is_told_of_the_day(given_: str) -> None:
    assert [parameter for parameter, _ in faults(f"{given_}&at=9999-12-31")] == ["tz"]


@pytest.mark.parametrize(
    ("given_", "href"),
    [
        ("tz=UTC", ""),
        ("tz=Asia/Tokyo", "?tz=Asia/Tokyo"),
        ("tz=Asia/Tokyo&upcoming=include", "?upcoming=include"),
        ("tz=Asia/Tokyo&upcoming=include&days=7", "?upcoming=include&days=7&tz=Asia/Tokyo"),
        ("tz=Asia/Tokyo&upcoming=include&at=2026-11-20", "?upcoming=include&tz=Asia/Tokyo&at="),
    ],
)
def test_a_zone_is_part_of_the_normal_form_where_a_day_matters(given_: str, href: str) -> None:
    assert parse(given_).href.startswith(f"/api/artists/{href}")
    assert parse(parse(given_).href.partition("?")[2]) == parse(given_)


@pytest.mark.parametrize(
    ("place", "first", "last"),
    [
        ("UTC", "2026-11-02", "2026-11-20"),
        ("Asia/Tokyo", "2026-11-03", "2026-11-21"),
        ("America/New_York", "2026-11-02", "2026-11-20"),
        ("Pacific/Pago_Pago", "2026-11-02", "2026-11-20"),
    ],
)
def test_the_days_that_may_be_asked_for_begin_and_end_in_the_zone(
    place: str, first: str, last: str
) -> None:
    since, now = datetime(2026, 11, 2, 18, tzinfo=UTC), datetime(2026, 11, 20, 18, tzinfo=UTC)

    def may(day: date) -> bool:
        try:
            query.parse(ArtistsQuery, f"at={day}&tz={place}", now, since)
        except InvalidParameters as error:
            (fault,) = error.faults
            assert place in fault["reason"]
            return False
        return True

    one = timedelta(days=1)
    assert may(date.fromisoformat(first))
    assert may(date.fromisoformat(last))
    assert not may(date.fromisoformat(first) - one)
    assert not may(date.fromisoformat(last) + one)


def test_every_fault_is_named_at_once_in_the_order_of_the_parameters() -> None:
    found = faults("sort=x&exclude=w&type=y&offset=z&limit=0&release_limit=&release_limit=5")
    assert [parameter for parameter, _ in found] == [
        "release_limit",
        "release_limit",
        "limit",
        "offset",
        "type",
        "exclude",
        "sort",
    ]


def test_a_repeated_parameter_is_a_fault_even_with_the_same_value() -> None:
    assert faults("limit=5&limit=5") == [("limit", "5")]


def test_an_unknown_name_may_be_repeated_and_is_ignored() -> None:
    assert parse("utm=1&utm=2&%ff=%ff&=&&") == ArtistsQuery()


def test_a_name_without_a_value_is_an_empty_value() -> None:
    assert faults("limit") == [("limit", "")]


def test_a_long_value_is_shown_shortened_with_a_mark() -> None:
    for fault in ("sort=" + "x" * 3000, "sort=name&sort=" + "x" * 101):
        assert faults(fault) == [("sort", "x" * 99 + "…")]
    assert faults("sort=" + "x" * 100) == [("sort", "x" * 100)]


def test_a_query_string_of_100_kb_is_too_long() -> None:
    with pytest.raises(UriTooLong):
        parse("limit=1&x=" + "y" * 100_000)


@given(st.text(max_size=200))
def test_no_query_string_is_an_unforeseen_error(text: str) -> None:
    try:
        read = parse(text)
    except (InvalidParameters, UriTooLong):
        return
    assert parse(read.href.partition("?")[2]) == read


def test_artists_that_come_twice_count_twice_for_the_most_that_a_query_may_have() -> None:
    ids = [f"{number:022}" for number in range(30)]
    chosen = query.parse(ArtistsQuery, f"artist={','.join(ids + ids[:20])}")
    assert chosen.artist == tuple(ids)
    with pytest.raises(InvalidParameters, match="artist"):
        query.parse(ArtistsQuery, f"artist={','.join(ids + ids[:21])}")
