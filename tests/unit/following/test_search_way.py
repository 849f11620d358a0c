"""The search for an artist's new albums: its query, and when an answer proves that it works."""

from datetime import UTC, datetime

import pytest

from server.following.search_way import MAX_QUERY, query_for, works
from server.spotify.list_parser import parse_items
from server.storage.listings import Known
from tests.support.examples import album, artist, spotify_id

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KNOWN = Known(spotify_id("artist", 1), "Artist 1", spotify_id("album", 1))


def found(*items: dict[str, object]) -> bool:
    return works(KNOWN, parse_items(items).releases, NOW)


def hers(number: int, day: str = "2026-11-20") -> dict[str, object]:
    return album(number, artists=[artist(1)], release_date=day)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("Röyksopp", 'tag:new artist:"Röyksopp"'),
        ('"Weird Al"  Yankovic', 'tag:new artist:"Weird Al Yankovic"'),
        ('"', None),
        ("  ", None),
    ],
)
def test_a_name_is_quoted_and_its_own_quotes_are_left_out(name: str, query: str | None) -> None:
    assert query_for(name) == query


def test_a_long_name_is_cut_to_what_spotify_accepts() -> None:
    query = query_for("name " * 100)
    assert query is not None
    assert MAX_QUERY - 5 <= len(query) <= MAX_QUERY
    assert query.endswith('name"')


def test_the_search_works_if_it_finds_the_new_release_and_little_else() -> None:
    assert found(hers(1))
    assert found(hers(1), hers(2), album(3, name="of another artist"))
    assert not found()
    assert not found(hers(2))


def test_a_search_that_ignores_the_artist_or_the_age_does_not_work() -> None:
    others = [album(number) for number in range(20, 29)]
    assert not found(hers(1), *others)
    assert not found(hers(1), hers(2, "2009-01-01"), hers(3, "2011-05-05"))


def test_artists_of_a_similar_name_prove_nothing_against_it() -> None:
    namesake = album(4, artists=[artist(9, name="The Artist 1 Orchestra")])
    assert found(hers(1), namesake)
