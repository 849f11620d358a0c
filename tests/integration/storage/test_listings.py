"""When albums stood in which list: what is gone, what is only missed, and for whom."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Change, Listing
from server.database.executor import Database
from server.spotify.list_parser import parse_items
from server.spotify.sweep import MarketList, Sweep
from server.storage import sweeps
from server.storage.listings import UNREAD_FOR
from tests.support.examples import album, albums, sweep
from tests.support.stored_copy import Copy, id_of


@pytest.fixture
def copy(database: Database) -> Copy:
    return Copy(database)


def journal(copy: Copy) -> list[tuple[str, str]]:
    return [(row.kind, row.album) for row in copy.all(select(Change).order_by(Change.seq))]


def gone(copy: Copy) -> list[str]:
    return [each for kind, each in journal(copy) if kind == "gone"]


def of_markets(lists: dict[str, list[Any]], proof: Any = "sure", **fields: Any) -> Sweep:
    """A sweep that met these albums in the lists of these markets."""
    releases = parse_items([item for items in lists.values() for item in items]).releases
    met = [
        MarketList(market, tuple(item["id"] for item in items), proof)
        for market, items in lists.items()
    ]
    return Sweep("search", releases, met, **{"complete": True, "calls": 1, **fields})


def test_a_capped_list_proves_nothing_about_what_it_does_not_show(copy: Copy) -> None:
    copy.take(albums(5))
    copy.every = timedelta(hours=2)
    for _ in range(25):
        copy.take(albums(3), proof="none")
    assert gone(copy) == []


def test_a_weak_proof_has_to_be_repeated_for_a_day(copy: Copy) -> None:
    copy.take(albums(3))
    copy.take(albums(2), proof="weak")
    for hours in (*[2] * 11, 1.5):
        copy.every = timedelta(hours=hours)
        copy.take(albums(2), proof="weak")
        assert gone(copy) == []
    copy.every = timedelta(hours=0.5)
    copy.take(albums(2), proof="weak")
    assert gone(copy) == [id_of(2)]


def test_an_album_that_turns_up_again_was_never_missed(copy: Copy) -> None:
    copy.take(albums(3))
    copy.every = timedelta(hours=2.5)
    for _ in range(4):
        for _ in range(6):
            copy.take(albums(2), proof="weak")
        copy.take(albums(3), proof="weak")
    assert gone(copy) == []
    assert copy.all(select(Listing.missed_since).where(Listing.missed_since.is_not(None))) == []


def test_a_sure_proof_ends_the_doubt(copy: Copy) -> None:
    copy.take(albums(3))
    copy.take(albums(2), proof="weak")
    copy.take(albums(2))
    assert gone(copy) == [id_of(2)]


def test_an_album_is_added_with_its_first_market_and_gone_with_its_last(copy: Copy) -> None:
    copy.take(of_markets({"DE": albums(2), "US": albums(2)}))
    copy.take(of_markets({"DE": albums(1), "US": albums(2)}))
    assert gone(copy) == []
    copy.take(of_markets({"DE": albums(1), "US": albums(1)}))
    assert journal(copy) == [
        ("added", id_of(0)),
        ("added", id_of(1)),
        ("gone", id_of(1)),
    ]


def test_each_market_keeps_its_own_places(copy: Copy) -> None:
    copy.take(of_markets({"DE": [album(1), album(2)], "US": [album(2), album(1)]}))
    rows = copy.rows(select(Listing.market, Listing.position, Listing.album_id))
    assert len(rows) == 4
    first = {market: album_id for market, position, album_id in rows if position == 0}
    assert first["DE"] != first["US"]


def test_a_market_that_is_no_longer_asked_for_keeps_no_listing_open(copy: Copy) -> None:
    copy.take(of_markets({"DE": albums(2), "US": albums(3)}))
    copy.take(of_markets({"DE": albums(2)}))
    assert gone(copy) == [id_of(2)]
    assert {row.market for row in copy.all(select(Listing).where(Listing.until.is_(None)))} == {
        "DE"
    }


def test_one_market_that_failed_closes_nothing_anywhere(copy: Copy) -> None:
    copy.take(of_markets({"DE": albums(2), "US": albums(3)}))
    copy.take(of_markets({"DE": albums(1), "US": []}, complete=False, error="502"))
    assert gone(copy) == []


def test_a_source_that_only_fills_in_for_another_closes_nothing_of_it(copy: Copy) -> None:
    copy.take(sweep(albums(3), source="new-releases"))
    copy.take(sweep(albums(2, 10), source="search", substitute=True))
    assert gone(copy) == []
    copy.take(sweep(albums(3), source="new-releases"))
    assert gone(copy) == []


def test_a_source_that_is_the_freshest_for_a_day_ends_no_list_of_another(copy: Copy) -> None:
    copy.take(sweep(albums(3), source="new-releases"))
    copy.take(sweep(albums(2, 10), source="search"))
    copy.every = UNREAD_FOR - copy.every
    copy.take(sweep(albums(3), source="new-releases"))
    assert gone(copy) == []
    assert [kind for kind, _ in journal(copy)] == ["added"] * 5, "and none is added twice"
    copy.every = timedelta(hours=1)
    copy.take(sweep(albums(3), source="new-releases"))
    assert gone(copy) == [id_of(10), id_of(11)], "the other was read a week ago"


def test_a_thousand_albums_in_two_markets_take_few_statements(copy: Copy) -> None:
    lists = {"DE": albums(1000), "US": albums(1000)}
    with copy.statements() as seen:
        copy.take(of_markets(lists))
    assert len(seen) <= 15
    with copy.statements() as seen:
        copy.take(of_markets(lists))
    assert len(seen) <= 8


def test_a_good_proof_has_to_be_repeated_and_then_closes(copy: Copy) -> None:
    """Between two pages a list may move, so that an album that is there is not met."""
    copy.take(albums(3))
    copy.take(albums(2), proof="good")
    assert gone(copy) == []
    copy.take(albums(3), proof="good")
    copy.take(albums(2), proof="good")
    assert gone(copy) == []
    copy.take(albums(2), proof="good")
    assert gone(copy) == [id_of(2)]


def test_a_sweep_does_not_take_for_gone_what_came_in_after_it_was_read(copy: Copy) -> None:
    started_at = copy.at
    copy.take(albums(3))
    with Session(copy.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(albums(2)), started_at, lambda: copy.at)
    assert gone(copy) == []


def test_a_partial_sweep_that_meets_an_album_ends_the_doubt_about_it(copy: Copy) -> None:
    copy.take(albums(3))
    copy.take(albums(2), proof="weak")
    copy.every = timedelta(hours=5)
    for _ in range(6):
        copy.take(albums(3), complete=False, error="502")
    copy.take(albums(2), proof="weak")
    assert gone(copy) == []


def test_an_album_that_another_source_shows_without_its_name_is_not_gone(copy: Copy) -> None:
    copy.take(albums(3), source="new-releases")
    copy.every = UNREAD_FOR
    copy.take([album(0), album(1, name=None)])
    assert gone(copy) == [id_of(2)]
    assert copy.listed("new-releases") == []
