"""A sweep goes into the local copy in few statements, and nothing is lost or written in vain."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models import Album, AlbumArtist, Artist, Change, Listing, SyncRun
from server.database.executor import Database
from server.storage import sweeps
from server.storage.listings import UNREAD_FOR
from tests.support.examples import album, albums, artist, spotify_id, sweep
from tests.support.stored_copy import START, Copy, id_of


@pytest.fixture
def copy(database: Database) -> Copy:
    return Copy(database)


def test_an_album_is_kept_with_all_its_fields(copy: Copy) -> None:
    copy.take([album(1, available_markets=["SE", "DE"])])
    (kept,) = copy.all(select(Album))
    assert kept.spotify_id == id_of(1)
    assert kept.name == "Album 1"
    assert kept.album_type == "album"
    assert (kept.release_date, kept.release_date_precision) == ("2026-11-20", "day")
    assert kept.released_on.isoformat() == "2026-11-20"
    assert kept.total_tracks == 10
    assert kept.uri == f"spotify:album:{id_of(1)}"
    assert [image["width"] for image in kept.images] == [640, 300, 64]
    assert kept.available_markets == ["DE", "SE"]
    assert kept.created_at == kept.updated_at == kept.last_seen_at == copy.at
    assert kept.significant_at == copy.at


def test_a_sync_of_a_thousand_new_albums_takes_at_most_15_statements(copy: Copy) -> None:
    with copy.statements() as seen:
        tally = copy.take(albums(1000))
    assert tally.added == 1000
    assert len(seen) <= 15, seen
    assert copy.rows(select(func.count()).select_from(AlbumArtist)) == [(1000,)]


def test_a_sync_that_changes_nothing_takes_at_most_8_statements(copy: Copy) -> None:
    copy.take(albums(1000))
    with copy.statements() as seen:
        tally = copy.take(albums(1000))
    assert not tally.changed
    assert len(seen) <= 8, seen


def test_the_number_of_statements_does_not_depend_on_the_number_of_releases(copy: Copy) -> None:
    with copy.statements() as few:
        copy.take(albums(2))
    with copy.statements() as many:
        copy.take(albums(902))
    assert len(many) <= len(few) + 1


def test_an_unchanged_album_writes_nothing_but_when_it_was_last_seen(copy: Copy) -> None:
    copy.take(albums(3))
    before = copy.rows(text("SELECT xmin::text, id FROM artists ORDER BY id"))
    copy.take(albums(3))
    assert copy.rows(text("SELECT xmin::text, id FROM artists ORDER BY id")) == before
    for kept in copy.all(select(Album)):
        assert kept.updated_at == kept.created_at < kept.last_seen_at == copy.at


def test_an_unchanged_album_is_updated_in_place_without_any_index(copy: Copy) -> None:
    counts = text(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'albums'"
    )
    copy.take(albums(20))
    with Session(copy.engine) as session:
        sweeps.record_sweep(session, sweep(albums(20)), copy.at, lambda: copy.at + copy.every)
        assert session.execute(counts).one() == (20, 20)


def test_a_changed_field_is_updated_and_journalled_with_old_and_new(copy: Copy) -> None:
    copy.take([album(1)])
    tally = copy.take([album(1, name="Album 1 (Deluxe)", total_tracks=14)])
    assert (tally.added, tally.updated, tally.gone) == (0, 1, 0)
    (kept,) = copy.all(select(Album))
    assert kept.name == "Album 1 (Deluxe)"
    assert kept.updated_at == copy.at > kept.created_at
    last = copy.all(select(Change).order_by(Change.seq))[-1]
    assert last.kind == "updated"
    assert last.detail == {
        "name": {"old": "Album 1", "new": "Album 1 (Deluxe)"},
        "total_tracks": {"old": 10, "new": 14},
    }


def test_a_date_that_changes_is_journalled_as_text(copy: Copy) -> None:
    copy.take([album(1)])
    copy.take([album(1, release_date="2026-11-27")])
    last = copy.all(select(Change).order_by(Change.seq))[-1]
    assert last.detail["released_on"] == {"old": "2026-11-20", "new": "2026-11-27"}


@pytest.mark.parametrize(
    "field",
    ["available_markets", "release_date", "total_tracks", "images", "artists", "album_type"],
)
def test_what_spotify_does_not_say_any_more_is_kept(copy: Copy, field: str) -> None:
    full = album(1, available_markets=["SE"])
    copy.take([full])
    without = {name: value for name, value in full.items() if name != field}
    tally = copy.take([without])
    assert not tally.changed
    (kept,) = copy.all(select(Album))
    assert (kept.available_markets, kept.release_date, kept.total_tracks) == (
        ["SE"],
        "2026-11-20",
        10,
    )
    assert len(kept.images) == 3
    assert kept.album_type == "album"
    assert len(copy.all(select(AlbumArtist))) == 1


def test_a_date_that_becomes_less_precise_keeps_nothing_of_the_old_one(copy: Copy) -> None:
    copy.take([album(1)])
    copy.take([album(1, release_date="2027", release_date_precision="year")])
    (kept,) = copy.all(select(Album))
    assert (kept.release_date, kept.release_date_precision) == ("2027", "year")
    assert kept.released_on is None


def test_an_artist_with_a_new_name_is_renamed_once(copy: Copy) -> None:
    copy.take([album(1)])
    tally = copy.take([album(1, artists=[artist(1, name="Prince")])])
    assert tally.changed
    assert [each.name for each in copy.all(select(Artist))] == ["Prince"]
    assert not copy.take([album(1, artists=[artist(1, name="Prince")])]).changed


def test_an_artist_of_two_names_in_one_sweep_does_not_flicker(copy: Copy) -> None:
    items = [album(1), album(2, artists=[artist(1, name="The Artist")])]
    copy.take(items)
    assert not copy.take(items).changed


def test_changed_credits_replace_the_old_in_order(copy: Copy) -> None:
    copy.take([album(1, artists=[artist(1), artist(2)])])
    copy.take([album(1, artists=[artist(3), artist(1)])])
    credited = copy.rows(select(Artist.spotify_id).join(AlbumArtist).order_by(AlbumArtist.position))
    assert credited == [(spotify_id("artist", 3),), (spotify_id("artist", 1),)]
    last = copy.all(select(Change).order_by(Change.seq))[-1]
    assert list(last.detail) == ["artists"]


def test_an_album_without_artists_is_kept_all_the_same(copy: Copy) -> None:
    old_shape = album(1)
    del old_shape["artists"], old_shape["release_date"], old_shape["release_date_precision"]
    assert copy.take([old_shape]).added == 1
    assert copy.take([old_shape]).changed is False


def test_a_complete_sweep_closes_what_it_did_not_see(copy: Copy) -> None:
    copy.take(albums(3))
    tally = copy.take(albums(2))
    assert tally.gone == 1
    assert copy.listed() == [id_of(0), id_of(1)]
    (closed,) = copy.all(select(Listing).where(Listing.until.is_not(None)))
    assert closed.until == copy.at
    assert len(copy.all(select(Album))) == 3, "gone from the list is not gone from the copy"


def test_a_partial_sweep_keeps_what_came_and_closes_nothing(copy: Copy) -> None:
    copy.take(albums(3))
    tally = copy.take(albums(1, first=7), complete=False, error="a page failed")
    assert (tally.added, tally.gone) == (1, 0)
    assert len(copy.listed()) == 4


def test_a_null_item_may_hide_any_album_so_nothing_is_closed(copy: Copy) -> None:
    copy.take(albums(3))
    assert copy.take([*albums(1), None]).gone == 0
    assert len(copy.listed()) == 3


def test_a_broken_item_with_an_id_counts_as_present(copy: Copy) -> None:
    copy.take(albums(3))
    broken = {"id": id_of(2), "name": None}
    assert copy.take([*albums(1), broken]).gone == 1
    assert copy.listed() == [id_of(0), id_of(2)]


def test_an_album_that_comes_back_is_listed_anew_and_journalled(copy: Copy) -> None:
    copy.take(albums(2))
    copy.take(albums(1))
    tally = copy.take(albums(2))
    assert tally.added == 1
    intervals = copy.rows(
        select(Listing.since, Listing.until)
        .join(Album)
        .where(Album.spotify_id == id_of(1))
        .order_by(Listing.since)
    )
    assert len(intervals) == 2
    assert intervals[0][1] is not None
    assert intervals[1][1] is None
    kinds = copy.rows(select(Change.kind).where(Change.album == id_of(1)).order_by(Change.seq))
    assert kinds == [("added",), ("gone",), ("added",)]


def test_another_source_takes_the_list_over_without_marking_what_it_shows(copy: Copy) -> None:
    copy.take(albums(3), source="new-releases")
    copy.every = UNREAD_FOR
    tally = copy.take(albums(2), source="search")
    assert (tally.added, tally.gone) == (0, 1)
    assert copy.listed("new-releases") == []
    assert copy.listed("search") == [id_of(0), id_of(1)]


def test_every_sync_leaves_a_run(copy: Copy) -> None:
    copy.take([*albums(2), None], calls=11)
    copy.take(albums(2), complete=False, error="SpotifyUnavailable: 502")
    complete, partial = copy.all(select(SyncRun).order_by(SyncRun.id))
    assert (complete.outcome, complete.seen, complete.added, complete.skipped) == (
        "complete",
        2,
        2,
        1,
    )
    assert (complete.calls, complete.changed) == (11, True)
    assert (partial.outcome, partial.changed) == ("partial", False)
    assert partial.error == "SpotifyUnavailable: 502"


def test_a_sweep_is_one_transaction(copy: Copy, database: Database) -> None:
    given = sweep(albums(2))
    with Session(copy.engine) as session, pytest.raises(RuntimeError), session.begin():
        sweeps.record_sweep(session, given, START, lambda: START)
        raise RuntimeError("the process dies here")
    for model in (Album, Artist, Listing, Change, SyncRun):
        assert copy.rows(select(func.count()).select_from(model)) == [(0,)]


def test_an_empty_complete_sweep_is_kept_as_such(copy: Copy) -> None:
    copy.take(albums(1))
    assert copy.take([]).gone == 1
    assert copy.listed() == []


def test_long_names_and_every_script_survive(copy: Copy) -> None:
    names = [
        "x" * 10_000,
        "夜の海",
        "Ωμέγα",
        "שלום",
        "👩🏽‍🎤",
        "it's; DROP TABLE albums --",
        'a"b\\c',
        "%s",
    ]
    copy.take([album(number, name=name) for number, name in enumerate(names)])
    assert copy.all(select(Album.name).order_by(Album.id)) == names


def test_only_a_change_that_feeds_show_counts_as_significant(copy: Copy) -> None:
    copy.take([album(1, available_markets=["DE"])])
    created = copy.at
    copy.take([album(1, available_markets=["DE", "SE"])])
    (kept,) = copy.all(select(Album))
    assert (kept.updated_at, kept.significant_at) == (copy.at, created)
    copy.take([album(1, available_markets=["SE"], name="Renamed")])
    (kept,) = copy.all(select(Album))
    assert kept.updated_at == kept.significant_at == copy.at
    renamed = copy.at
    credited = album(1, name="Renamed", artists=[artist(1), artist(2)])
    copy.take([credited])
    copy.take([{**credited, "available_markets": ["US"]}])
    (kept,) = copy.all(select(Album))
    assert renamed < kept.significant_at < kept.updated_at == copy.at


def test_each_change_holds_the_release_as_it_was_then(copy: Copy) -> None:
    single = album(1, album_type="single", total_tracks=5, artists=[artist(1), artist(2)])
    copy.take([single, album(2)])
    copy.take([{**single, "name": "Renamed"}])
    copy.take([{**single, "name": "Renamed"}, album(2)])
    told = [(each.kind, each.release) for each in copy.all(select(Change).order_by(Change.seq))]
    assert [(kind, release["name"]) for kind, release in told] == [
        ("added", "Album 1"),
        ("added", "Album 2"),
        ("updated", "Renamed"),
        ("gone", "Album 2"),
        ("added", "Album 2"),
    ]
    assert told[2][1] == {
        "name": "Renamed",
        "artists": [
            {"spotify_id": spotify_id("artist", number), "name": f"Artist {number}"}
            for number in (1, 2)
        ],
        "kind": "ep",
        "release_date": "2026-11-20",
        "url": f"https://open.spotify.com/album/{id_of(1)}",
        "image": f"https://i.scdn.co/image/{id_of(1)}300",
    }
    assert told[1][1] == told[3][1] == told[4][1]


def test_a_change_keeps_what_spotify_left_out_this_time(copy: Copy) -> None:
    copy.take([album(1, artists=[artist(number) for number in range(30)])])
    copy.take([{"id": id_of(1), "name": "Renamed"}])
    added, updated = (each.release for each in copy.all(select(Change).order_by(Change.seq)))
    assert updated == {**added, "name": "Renamed"}
    assert len(updated["artists"]) == 20
