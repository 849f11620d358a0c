"""What a check of an artist finds: new releases are listed and journalled, older ones are not."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from models import Album, ArtistCheck, ArtistSchedule, Change, Listing
from server.database.executor import Database
from server.spotify.list_parser import parse_items
from server.storage import artist_checks, freshness, retention, sweeps
from server.storage.artist_checks import Check, CheckTally, Scheduled
from tests.support.examples import album, artist, spotify_id, sweep
from tests.support.stored_copy import Copy, id_of

HER = spotify_id("artist", 1)


class Checks(Copy):
    """A local copy into which checks of one artist go as well."""

    def run(self, function: Callable[..., Any], *given: Any) -> Any:
        with Session(self.engine) as session, session.begin():
            return function(session, *given)

    def schedule(self) -> Scheduled:
        found = self.run(artist_checks.plan_checks, [HER], self.at)[HER]
        assert isinstance(found, Scheduled)
        return found

    def check(self, items: list[Any], **fields: Any) -> CheckTally:
        before = self.schedule()
        self.at += self.every
        check = Check(HER, "albums", parse_items(items).releases, 2, **fields)
        tally, after = self.run(artist_checks.record_check, check, before, lambda: self.at, planned)
        assert after == self.schedule()
        assert isinstance(tally, CheckTally)
        return tally

    def pass_days(self, days: int) -> None:
        """Time goes by, at the end of which two syncs a day apart have found another release."""
        self.at += timedelta(days=days - 1)
        self.take([album(9)])
        self.at += timedelta(days=1)
        self.take([album(9)])

    def close(self, *wanted: str) -> int:
        return int(self.run(artist_checks.close_listings, wanted, self.at))

    def journal(self) -> list[tuple[str, str]]:
        rows = self.rows(select(Change.kind, Change.album).order_by(Change.seq))
        return [(kind, album) for kind, album in rows]


def planned(schedule: Scheduled, tally: CheckTally, at: datetime) -> Scheduled:
    return replace(schedule, checked_at=at, next_check_at=at + timedelta(days=1))


def hers(number: int, day: str = "2026-11-19", **fields: Any) -> dict[str, Any]:
    precision = {4: "year", 7: "month", 10: "day"}[len(day)]
    dated = {"release_date": day, "release_date_precision": precision}
    return album(number, artists=[artist(1)], **dated, **fields)


@pytest.fixture
def copy(database: Database) -> Checks:
    return Checks(database)


def test_all_who_write_to_the_journal_wait_for_each_other_until_they_commit(copy: Checks) -> None:
    """So its entries become visible in the order of their numbers."""
    at, plan = copy.at, copy.schedule()
    check = Check(HER, "albums", parse_items([hers(1)]).releases, 2)
    writers: list[Callable[[Session], Any]] = [
        lambda session: sweeps.record_sweep(session, sweep([album(2)]), at, lambda: at),
        lambda session: artist_checks.record_check(session, check, plan, lambda: at, planned),
        lambda session: artist_checks.close_listings(session, [HER], at),
        lambda session: retention.delete_batch(session, at, timedelta(days=90)),
    ]
    with Session(copy.engine) as other, other.begin():
        other.execute(select(func.pg_advisory_xact_lock(sweeps.WRITERS_LOCK)))
        for write in writers:
            with Session(copy.engine) as session:
                session.execute(text("SET LOCAL lock_timeout = '20ms'"))
                with pytest.raises(OperationalError, match="lock timeout"):
                    write(session)
    for write in writers:
        copy.run(write)


def test_a_new_release_is_listed_and_added_and_an_older_one_is_found(copy: Checks) -> None:
    tally = copy.check([hers(1), hers(2, "2019-03-02"), hers(3, "2026-12-24")])
    assert tally == CheckTally(added=2, stored=1, changed=True)
    assert copy.listed("followed") == [id_of(1), id_of(3)]
    assert copy.journal() == [("added", id_of(1)), ("found", id_of(2)), ("added", id_of(3))]
    seen = dict(copy.rows(select(Album.spotify_id, Album.created_at)))
    assert seen[id_of(1)] == copy.at
    assert seen[id_of(2)].isoformat().startswith("2019-03-02T00:00:00")
    (summary,) = copy.all(select(Change.release).where(Change.album == id_of(1)))
    assert summary["name"] == "Album 1"


@pytest.mark.parametrize(
    ("day", "is_new"),
    [("2026-10-21", True), ("2026-10-20", False), ("2026-11", True), ("2026", False)],
)
def test_the_first_check_takes_what_is_at_most_thirty_days_old_as_new(
    copy: Checks, day: str, is_new: bool
) -> None:
    assert copy.check([hers(1, day)]).added == int(is_new)


def test_a_later_check_takes_a_release_of_this_year_without_a_day_as_new(copy: Checks) -> None:
    copy.check([hers(1, "2019")])
    assert copy.check([hers(1, "2019"), hers(2, "2026"), hers(3, "2025")]).added == 1
    assert copy.listed("followed") == [id_of(2)]


def test_a_release_without_a_date_or_with_an_impossible_one_is_stored_silently(
    copy: Checks,
) -> None:
    odd = [hers(1, "0000"), {**hers(2), "release_date": None}]
    assert copy.check(odd) == CheckTally(stored=2, changed=True)
    assert {year.year for year in copy.all(select(Album.created_at))} == {1900}


def test_a_known_release_is_updated_and_not_added_again(copy: Checks) -> None:
    copy.take([hers(1)])
    tally = copy.check([hers(1, name="Album 1 (Deluxe)")])
    assert tally == CheckTally(updated=1, changed=True)
    assert copy.listed("followed") == []
    assert copy.journal() == [("added", id_of(1)), ("updated", id_of(1))]
    assert copy.check([hers(1, name="Album 1 (Deluxe)")]) == CheckTally()
    assert copy.all(select(Album.last_seen_at)) == [copy.at]


def test_a_release_that_was_found_is_added_once_a_list_has_it(copy: Checks) -> None:
    copy.check([hers(1, "2019-01-01")])
    tally = copy.check([hers(1, "2019-01-01", name="Album 1 (Deluxe)")])
    assert tally == CheckTally(updated=1, changed=True)
    copy.take([hers(1, "2019-01-01", name="Album 1 (Live)")])
    kinds = [kind for kind, _ in copy.journal()]
    assert kinds == ["found", "updated", "updated", "added"]


def test_a_sync_neither_closes_the_listing_of_a_check_nor_adds_its_release_again(
    copy: Checks,
) -> None:
    copy.check([hers(1)])
    assert copy.take([album(2)]).gone == 0
    assert copy.listed("followed") == [id_of(1)]
    assert copy.take([album(2), hers(1)]).added == 0
    assert copy.take([album(2)]).gone == 0
    assert copy.listed("followed") == [id_of(1)]


def test_a_listing_ends_thirty_days_later_and_not_before_an_announced_release(
    copy: Checks,
) -> None:
    copy.check([hers(1), hers(2, "2027-02-01")])
    copy.pass_days(29)
    assert copy.close(HER) == 0
    copy.pass_days(2)
    assert copy.close(HER) == 1
    assert copy.listed("followed") == [id_of(2)]
    assert copy.journal()[-1] == ("gone", id_of(1))


def test_the_release_of_an_artist_nobody_wants_is_gone_unless_another_list_has_it(
    copy: Checks,
) -> None:
    copy.check([hers(1), hers(2)])
    copy.take([hers(2)])
    assert copy.close(HER) == 0
    assert copy.close("somebodyelse") == 2
    assert copy.listed("followed") == []
    assert copy.journal()[-1] == ("gone", id_of(1))
    assert copy.journal().count(("gone", id_of(2))) == 0


@pytest.mark.parametrize("unchanged", [False, True])
def test_a_new_release_is_listed_again_once_somebody_wants_its_artist_again(
    copy: Checks, unchanged: bool
) -> None:
    items = [hers(1), hers(2, "2026-12-24"), hers(3, "2019-01-01")]
    copy.check(items)
    assert copy.close("somebodyelse") == 2
    tally = copy.check([], not_modified=2) if unchanged else copy.check(items)
    assert tally == CheckTally(added=2, changed=True)
    assert copy.listed("followed") == [id_of(1), id_of(2)]
    assert copy.journal()[-2:] == [("added", id_of(1)), ("added", id_of(2))]
    assert copy.check(items) == CheckTally()
    assert copy.close(HER) == 0


def test_what_a_sync_has_listed_and_lost_is_not_added_a_second_time(copy: Checks) -> None:
    copy.take([hers(1)])
    assert copy.take([album(9)]).gone == 1
    assert copy.check([hers(1)]) == CheckTally()
    assert copy.listed("followed") == []


def test_a_clock_that_is_a_year_ahead_for_a_moment_closes_no_listing(copy: Checks) -> None:
    copy.pass_days(2)
    copy.take([hers(1), album(9)])
    copy.check([hers(1)])
    copy.check([hers(2)])
    copy.at += timedelta(days=365)
    for _ in range(2):
        copy.take([hers(1), album(9)])
        assert copy.close(HER) == 0
    copy.at -= timedelta(days=365)
    copy.take([hers(1), album(9)])
    assert copy.close(HER) == 0
    assert copy.listed("followed") == [id_of(2)]
    assert ("gone", id_of(2)) not in copy.journal()
    copy.pass_days(31)
    assert copy.close(HER) == 1, "once the clock is right, time counts again"


def test_a_clock_that_was_a_year_ahead_hides_no_new_release_for_good(copy: Checks) -> None:
    copy.check([hers(1)])
    copy.pass_days(365)  # for two of which the clock is wrong
    copy.close(HER)
    copy.check([hers(1), hers(2, "2026-11-20")])
    assert copy.listed("followed") == []
    copy.at -= timedelta(days=365)
    copy.check([hers(1), hers(2, "2026-11-20")])
    assert copy.listed("followed") == [id_of(1), id_of(2)]


def test_an_old_release_whose_date_turns_out_to_be_ahead_is_new(copy: Checks) -> None:
    copy.check([hers(1, "2016")])
    assert copy.check([hers(1, "2026-12-24")]).added == 1
    assert copy.listed("followed") == [id_of(1)]
    assert copy.all(select(Album.created_at)) == [copy.at]


def test_a_release_that_was_stored_silently_is_first_seen_when_a_sync_lists_it(
    copy: Checks,
) -> None:
    copy.check([hers(1, "2016"), hers(2)])
    first_seen = copy.at
    copy.take([hers(1, "2016"), hers(2)])
    seen = dict(copy.rows(select(Album.spotify_id, Album.created_at)))
    assert seen == {id_of(1): copy.at, id_of(2): first_seen}


def test_a_release_that_is_brought_forward_takes_its_former_date_along(copy: Checks) -> None:
    copy.check([hers(1, "2027-02-01"), hers(2, "2019-01-01")])
    assert copy.schedule().newest_release == "2027-02-01"
    copy.check([hers(2, "2019-01-01")], not_modified=1)
    assert copy.schedule().newest_release == "2027-02-01"
    copy.check([hers(1, "2026-11-19"), hers(2, "2019-01-01")])
    assert copy.schedule().newest_release == "2026-11-19"


def test_what_a_check_changed_moves_the_time_of_the_data_and_other_checks_do_not(
    copy: Checks,
) -> None:
    copy.take([album(9)])
    copy.check([hers(1, "2019-01-01")])
    changed_at = copy.at
    assert copy.run(freshness.read).as_of == changed_at
    copy.check([hers(1, "2019-01-01")])
    assert copy.at > changed_at
    fresh = copy.run(freshness.read)
    assert (fresh.as_of, fresh.seen_at) == (changed_at, copy.at)
    copy.check([], error="503")
    assert copy.run(freshness.read).seen_at == fresh.seen_at


def test_an_answer_that_nothing_changed_keeps_what_the_last_check_saw_from_getting_old(
    copy: Checks,
) -> None:
    copy.check([hers(1)], etags={"album": '"x"'})
    copy.check([], not_modified=2)
    assert copy.all(select(Album.last_seen_at)) == [copy.at]
    last = copy.all(select(ArtistCheck).order_by(ArtistCheck.id))[-1]
    assert (last.calls, last.not_modified, last.seen, last.changed) == (2, 2, 0, False)


def test_two_ways_that_plan_the_same_artists_at_once_wait_for_each_other(copy: Checks) -> None:
    artists = [spotify_id("artist", number) for number in range(10_000)]
    with ThreadPoolExecutor(2) as both:
        plans = [
            both.submit(copy.run, artist_checks.plan_checks, order, copy.at)
            for order in (artists, artists[::-1])
        ]
    assert plans[0].result() == plans[1].result()


def test_a_failed_check_is_recorded_with_its_reason(copy: Checks) -> None:
    copy.check([], error="404 Not found")
    (row,) = copy.all(select(ArtistSchedule))
    assert row.error == "404 Not found"
    assert [each.error for each in copy.all(select(ArtistCheck))] == ["404 Not found"]
    assert copy.all(select(Listing)) == []
