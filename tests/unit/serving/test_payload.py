"""From a snapshot and a query to the very bytes: pure, so tested without anything else."""

import gc
import gzip
import re
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import brotli
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog import query, versions
from server.catalog.parameters import searchable
from server.catalog.query import ARTIST_FIELDS, ArtistsQuery
from server.catalog.snapshot import (
    HELD,
    MAX_RELEASE_LIMIT,
    AlbumEntry,
    ArtistEntry,
    Freshness,
    Snapshot,
    trimmed,
)
from server.serving import payload
from server.serving.payload import CODINGS, Coding, Payload
from tests.support.releases import release as any_release

AT = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
FRESH = Freshness(AT, AT, AT, "search", False)
KINDS = ["album", "single", "ep", "compilation", None]


def parse(query_string: str) -> ArtistsQuery:
    return query.parse(ArtistsQuery, query_string)


def entry(number: int, name: str) -> ArtistEntry:
    fields = {"spotify_id": f"a{number}", "name": name}
    return ArtistEntry(f"a{number}", name, orjson.dumps(fields), searchable(name))


def release(
    number: int, artists: list[ArtistEntry], kind: str | None = "album", title: str | None = None
) -> AlbumEntry:
    created = AT.replace(minute=number % 60)
    json = f'{{"n":{number}}}'.encode()
    various = VARIOUS in artists
    name = f"Title {number}" if title is None else title
    main = artists[0].spotify_id if artists else None
    edition = versions.recognise(main, kind, "2026-11-20", name) if main else None
    return AlbumEntry(
        any_release(),
        kind,
        created,
        json,
        tuple(artists),
        various_artists=various,
        edition=edition,
    )


ABBA, BACH, OLAF = entry(1, "abba"), entry(2, "Bach"), entry(3, "Ólafur")
VARIOUS = entry(9, "Various Artists")
SNAPSHOT = Snapshot(
    (
        release(10, [OLAF, BACH], "single"),
        release(40, [ABBA]),
        release(30, [BACH]),
        release(20, [], "ep"),
    ),
    FRESH,
)


def made(query_string: str, snapshot: Snapshot = SNAPSHOT, **options: Any) -> Payload:
    given_ = {"today": FRESH.as_of, "stale": False, "max_age": 15, **options}
    return payload.build(snapshot, parse(query_string), **given_)


def body(query_string: str = "", snapshot: Snapshot = SNAPSHOT, **options: Any) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(made(query_string, snapshot, **options).body)
    return content


def names(query_string: str) -> list[str]:
    return [item["name"] for item in body(query_string)["items"]]


def test_artists_stand_in_the_order_of_their_latest_release() -> None:
    assert names("") == ["Ólafur", "Bach", "abba"]


def test_an_artist_has_its_albums_of_the_window_newest_first_and_the_latest_again() -> None:
    bach = body()["items"][1]
    assert [album["n"] for album in bach["albums"]] == [10, 30]
    assert bach["latest_album"] == bach["albums"][0]


def test_release_limit_counts_releases_of_the_wanted_types() -> None:
    assert names("release_limit=1") == ["Ólafur", "Bach"]
    assert names("release_limit=1&type=album") == ["abba"]
    assert names("type=ep") == []
    assert names("type=ep,single") == ["Ólafur", "Bach"]


WHOLE_ARTIST = ArtistEntry("a1", "abba", orjson.dumps(dict.fromkeys(ARTIST_FIELDS[:-2])))
WHOLE = Snapshot((release(1, [WHOLE_ARTIST]), release(2, [WHOLE_ARTIST])), FRESH)
TWINS = Snapshot(
    (
        release(10, [VARIOUS, OLAF], "compilation"),
        release(20, [ABBA, BACH], title="Tides (Deluxe)"),
        release(30, [OLAF], title="Tides"),
        release(40, [ABBA], title="Tides (Live)"),
        release(50, [ABBA], title="Tides"),
        release(60, [BACH], "single", title="Tides"),
    ),
    FRESH,
)


def releases(query_string: str, snapshot: Snapshot = TWINS) -> dict[str, list[int]]:
    items = body(query_string, snapshot)["items"]
    return {item["name"]: [album["n"] for album in item["albums"]] for item in items}


def test_releases_by_various_artists_may_be_excluded() -> None:
    assert list(releases("")) == ["Various Artists", "Ólafur", "abba", "Bach"]
    assert releases("exclude=various_artists") == {
        "abba": [20, 40, 50],
        "Bach": [20, 60],
        "Ólafur": [30],
    }


def test_versions_of_one_release_may_be_excluded_but_one() -> None:
    assert releases("exclude=versions") == {
        "Various Artists": [10],
        "Ólafur": [10, 30],
        "abba": [40, 50],
        "Bach": [60],
    }


def test_release_limit_counts_what_is_left() -> None:
    assert releases("exclude=various_artists,versions&release_limit=2") == {
        "abba": [40],
        "Ólafur": [30],
    }
    assert releases("exclude=versions&type=album&release_limit=3") == {
        "abba": [40, 50],
        "Ólafur": [30],
    }


def test_what_is_left_is_made_up_from_older_releases_but_never_with_a_gap() -> None:
    whole, rare = HELD
    twins = [release(n, [entry(n // 2, "x")], title=f"Title {n // 2}") for n in range(whole)]
    eps = [release(n, [entry(n, "x")], "ep") for n in range(whole, whole + 2 * rare)]
    snapshot = Snapshot((*twins, *eps), FRESH)
    assert body("exclude=versions&limit=500", snapshot)["total"] == whole // 2
    assert body("exclude=versions&limit=500&type=ep", snapshot)["total"] == rare
    limited = f"exclude=versions&release_limit={MAX_RELEASE_LIMIT}"
    for wanted in (limited, f"{limited}&type=ep"):
        assert body(wanted, snapshot)["total"] == MAX_RELEASE_LIMIT


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("-released", ["Ólafur", "Bach", "abba"]),
        ("released", ["abba", "Bach", "Ólafur"]),
        ("-seen", ["abba", "Bach", "Ólafur"]),
        ("seen", ["Ólafur", "Bach", "abba"]),
        ("name", ["abba", "Bach", "Ólafur"]),
        ("-name", ["Ólafur", "Bach", "abba"]),
    ],
)
def test_every_order_is_total(order: str, expected: list[str]) -> None:
    assert names(f"sort={order}") == expected


def test_names_are_sorted_without_case_and_accents() -> None:
    artists = [entry(n, name) for n, name in enumerate(["Zoe", "émile", "Emil", "Ölaf", "oma"])]
    snapshot = Snapshot((release(1, artists),), FRESH)
    items = body("sort=name", snapshot)["items"]
    assert [item["name"] for item in items] == ["Emil", "émile", "Ölaf", "oma", "Zoe"]


def test_a_page_tells_its_neighbours() -> None:
    page = body("limit=1&offset=1")
    assert (page["count"], page["total"], page["limit"], page["offset"]) == (1, 3, 1, 1)
    assert page["href"] == "/api/artists/?limit=1&offset=1"
    assert page["next"] == "/api/artists/?limit=1&offset=2"
    assert page["previous"] == "/api/artists/?limit=1"


def test_without_a_limit_there_are_no_neighbours() -> None:
    page = body("offset=2")
    assert (page["count"], page["limit"], page["next"], page["previous"]) == (1, None, None, None)


def test_past_the_end_is_an_empty_page_that_leads_back() -> None:
    page = body("limit=2&offset=99")
    assert (page["items"], page["total"], page["next"]) == ([], 3, None)
    assert page["previous"] == "/api/artists/?limit=2&offset=1"


def test_a_first_page_that_is_shorter_overlaps_nothing() -> None:
    assert body("limit=2&offset=1")["previous"] == "/api/artists/?limit=1"


def test_what_is_known_of_freshness_is_said() -> None:
    page = body(stale=True)
    assert page["as_of"] == "2026-11-20T05:00:12Z"
    assert (page["source"], page["stale"], page["partial"]) == ("search", True, False)


def test_headers_are_those_of_the_contract() -> None:
    coded = made("limit=1&offset=1").encoded("gzip")
    assert dict(coded.headers) == {
        "Content-Type": "application/json; charset=utf-8",
        "Cache-Control": "public, max-age=15, stale-while-revalidate=60, stale-if-error=86400",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Link": '</api/artists/?limit=1&offset=2>; rel="next", '
        '</api/artists/?limit=1>; rel="prev", </api/openapi.json>; rel="service-desc"',
        "Last-Modified": "Fri, 20 Nov 2026 05:00:12 GMT",
        "X-Last-Sync": "2026-11-20T05:00:12Z",
        "Content-Length": str(len(coded.body)),
        "ETag": coded.etag,
        "Content-Encoding": "gzip",
    }


def test_a_check_that_moves_when_a_release_was_last_seen_moves_the_date_of_the_answer() -> None:
    seen_at = AT + timedelta(minutes=36)
    fresh = replace(FRESH, seen_at=seen_at)
    headers = dict(payload.with_headers(b"{}", fresh, (15, 60), "").headers)
    assert headers["Last-Modified"] == "Fri, 20 Nov 2026 05:36:12 GMT"
    assert headers["X-Last-Sync"] == "2026-11-20T05:00:12Z"


def test_every_link_is_under_the_address_of_the_server() -> None:
    root = "https://music.example.org/freshet"
    page = body("limit=1&offset=1", root=root)
    assert page["href"] == f"{root}/api/artists/?limit=1&offset=1"
    assert page["next"] == f"{root}/api/artists/?limit=1&offset=2"
    assert page["previous"] == f"{root}/api/artists/?limit=1"
    link = dict(made("limit=1&offset=1", root=root).headers)["Link"]
    assert re.findall(r"<(.*?)>", link) == [
        page["next"],
        page["previous"],
        f"{root}/api/openapi.json",
    ]


def test_every_coding_holds_the_same_and_has_an_etag_of_its_own() -> None:
    for payload_ in (made(""), Payload(b"0123456789" * 10_001, ())):  # a small and a large one
        coded = {coding: payload_.encoded(coding) for coding in CODINGS}
        assert coded["identity"].body == payload_.body
        assert gzip.decompress(coded["gzip"].body) == payload_.body
        assert brotli.decompress(coded["br"].body) == payload_.body
        assert len({each.etag for each in coded.values()}) == 3


def test_json_that_is_held_takes_no_more_memory_than_it_has_bytes() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [trimmed(orjson.dumps({"name": "x" * 1000})) for _ in range(100)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1.2 * sum(map(len, held))


def test_an_artist_is_written_the_same_whether_whole_or_by_all_its_fields() -> None:
    by_fields = body(f"fields={','.join(ARTIST_FIELDS)}", WHOLE)
    assert by_fields["items"] == body("", WHOLE)["items"]
    assert len(by_fields["items"][0]["albums"]) == 2


@pytest.mark.parametrize("coding", CODINGS)
def test_the_size_of_an_answer_is_what_it_takes_in_memory(coding: Coding) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        many = [made(f"limit=5&offset={number}").encoded(coding) for number in range(1000, 1200)]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(each.size for each in many) == pytest.approx(after - before, rel=0.25)


def test_the_same_data_gives_the_same_bytes_and_etags() -> None:
    for coding in CODINGS:
        assert made("").encoded(coding) == made("").encoded(coding)
        assert made("", stale=True).encoded(coding).etag != made("").encoded(coding).etag


artists_strategy = st.lists(
    st.integers(0, 12).map(lambda n: entry(n, f"name {n % 5}")),
    max_size=4,
    unique_by=lambda each: each.spotify_id,
)
snapshots = st.lists(
    st.tuples(
        artists_strategy,
        st.sampled_from(KINDS),
        st.integers(0, 59),
        st.sampled_from(["Tides", "Tides (Deluxe)", "Tides - Sped Up", "Tides (Live)"]),
    ),
    max_size=12,
).map(lambda rows: Snapshot(tuple(release(n, a, k, title) for a, k, n, title in rows), FRESH))


@settings(max_examples=60)
@given(
    snapshots,
    st.integers(1, 5),
    st.sampled_from(["released", "-released", "seen", "-seen", "name", "-name"]),
    st.sampled_from(["", "&type=album", "&type=single,ep"]),
    st.sampled_from(["", "&exclude=versions", "&exclude=various_artists,versions"]),
)
def test_pages_together_are_exactly_the_whole(
    snapshot: Snapshot, limit: int, sort: str, kind: str, exclude: str
) -> None:
    wanted = f"sort={sort}{kind}{exclude}"
    whole = body(wanted, snapshot)["items"]
    paged: list[Any] = []
    href: str | None = f"?{wanted}&limit={limit}"
    while href is not None:
        page = body(href.partition("?")[2], snapshot)
        assert page["total"] == len(whole)
        paged += page["items"]
        href = page["next"]
    assert paged == whole
