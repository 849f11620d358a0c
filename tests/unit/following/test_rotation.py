"""Artists are checked at their own time of the day, more rarely while nothing changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.following import rotation
from server.following.rotation import DAY, Queue, Turn
from server.storage.artist_checks import CheckTally, Scheduled

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOTHING, RELEASE = CheckTally(), CheckTally(added=1, changed=True)


def scheduled(artist: str = "x", due: timedelta = timedelta(0), **fields: object) -> Scheduled:
    made = Scheduled(artist, NOW - 30 * DAY, NOW + due, checked_at=NOW - DAY)
    return replace(made, **fields)  # type: ignore[arg-type]


def next_artist(*schedules: Scheduled, calls: int = 80, last: datetime | None = None) -> Any:
    return rotation.next_artist(schedules, last, calls, NOW)


def test_the_interval_doubles_to_a_week_and_is_a_day_again_after_a_release() -> None:
    schedule, at, days = Scheduled("x", NOW, NOW), NOW, []
    for _ in range(6):
        schedule = rotation.after_check(schedule, NOTHING, at)
        days.append(schedule.interval_days)
        at = schedule.next_check_at
    assert days == [1, 2, 4, 7, 7, 7]
    assert rotation.after_check(schedule, RELEASE, at).interval_days == 1


def test_an_older_release_that_was_unknown_counts_as_a_release() -> None:
    after = rotation.after_check(scheduled(interval_days=4), CheckTally(stored=1), NOW)
    assert after.interval_days == 1


@pytest.mark.parametrize("days", [1, 2, 4, 7])
def test_an_artist_keeps_its_time_of_the_day_however_late_a_check_comes(days: int) -> None:
    schedule = scheduled(interval_days=days)
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    for hours in range(0, 48, 5):
        at = NOW + timedelta(hours=hours)
        planned = rotation.after_check(schedule, RELEASE, at).next_check_at
        assert (planned - midnight - rotation.offset("x")) % DAY == timedelta(0)
        assert abs(planned - at - DAY) <= DAY / 2


def test_the_times_of_artists_spread_over_the_day() -> None:
    hours = [int(rotation.offset(f"artist{number}") / timedelta(hours=1)) for number in range(2400)]
    assert all(60 <= hours.count(hour) <= 150 for hour in range(24))


def test_who_was_never_checked_comes_first_then_recent_releases_then_the_longest_due() -> None:
    quiet = scheduled("quiet", -2 * DAY, newest_release="2019")
    active = scheduled("active", -DAY, newest_release="2026-11-06")
    new = Scheduled("new", NOW - DAY, NOW)
    later = scheduled("later", DAY, newest_release="2026-11-19")
    order, waiting = [], [quiet, active, new, later]
    while (found := next_artist(*waiting)) is not None:
        order.append(found.artist)
        waiting.remove(found)
    assert order == ["new", "active", "quiet", "later"]


def test_who_is_a_week_late_waits_for_nobody() -> None:
    quiet = scheduled("quiet", -8 * DAY, newest_release="2019")
    active = scheduled("active", -DAY, newest_release="2026-11-06")
    found = next_artist(active, quiet)
    assert found is not None
    assert found.artist == "quiet"


def test_calls_that_are_left_check_an_artist_early_who_was_not_checked_for_half_a_day() -> None:
    soon = scheduled("soon", DAY, checked_at=NOW - timedelta(hours=11))
    later = scheduled("later", DAY + DAY / 2, checked_at=NOW - timedelta(hours=12))
    latest = scheduled("latest", 2 * DAY, checked_at=NOW - 4 * DAY)
    due = scheduled("due", -DAY)
    assert next_artist(soon, latest, later) is later
    assert next_artist(soon, latest, later, due) is due
    assert next_artist(soon) is None
    # 80 calls make 40 checks in 25 hours; early ones leave a tenth of the calls.
    for checks, chosen in ((41, (None, None)), (38, (due, None)), (36, (due, later))):
        last = NOW - timedelta(hours=25) / checks
        assert (next_artist(later, due, last=last), next_artist(later, last=last)) == chosen


def test_a_failed_check_is_tried_again_before_all_others_but_only_so_often() -> None:
    new = Scheduled("new", NOW - DAY, NOW)
    for failures in range(rotation.RETRIES + 2):
        failed = scheduled("failed", failures=failures)
        found = next_artist(new, failed)
        assert found is (failed if 0 < failures <= rotation.RETRIES else new)
    waiting = scheduled("failed", timedelta(minutes=1), failures=1)
    assert next_artist(new, waiting) is new
    assert next_artist(waiting) is None, "a failed check is not repeated early"


def test_failures_are_tried_again_ever_later_and_refusals_later_still() -> None:
    schedule, waits = scheduled(), []
    for _ in range(9):
        schedule = rotation.after_failure(schedule, NOTHING, NOW)
        waits.append(schedule.next_check_at - NOW)
    assert waits[:3] == [timedelta(hours=1), timedelta(hours=2), timedelta(hours=4)]
    assert waits[-1] == timedelta(days=7)
    schedule, waits = scheduled(), []
    for _ in range(7):
        schedule = rotation.after_refusal(schedule, NOTHING, NOW)
        waits.append(schedule.next_check_at - NOW)
    assert waits[:3] == [DAY, 2 * DAY, 4 * DAY]
    assert waits[-1] == timedelta(days=30)
    assert rotation.after_check(schedule, NOTHING, NOW).failures == 0


def test_a_plan_from_a_clock_that_ran_ahead_is_due_now() -> None:
    assert rotation.is_due(scheduled(due=400 * DAY), NOW)
    assert rotation.is_due(scheduled(due=9 * DAY, interval_days=7), NOW)
    assert not rotation.is_due(scheduled(due=7.5 * DAY, interval_days=7), NOW)
    assert not rotation.is_due(scheduled(due=30 * DAY, failures=9), NOW)


def test_a_search_leaves_the_plan_unless_it_found_a_release() -> None:
    schedule = scheduled(due=5 * DAY, interval_days=7)
    after = rotation.after_search(schedule, NOTHING, NOW)
    assert after == replace(schedule, searched_at=NOW)
    after = rotation.after_search(schedule, RELEASE, NOW)
    assert after.interval_days == 1
    assert after.next_check_at <= NOW + 1.5 * DAY


def test_who_is_due_is_checked_one_after_the_other_and_later_ones_after_that() -> None:
    soon, late = NOW + timedelta(minutes=5), NOW + 3 * DAY
    turns = (
        Turn("x", 0, NOW),
        Turn("y", 2, NOW - DAY, NOW - 3 * DAY),
        Turn("z", 5, soon),
        Turn("w", 6, late),
    )
    apart = rotation.spacing(80)
    queue = Queue(mine=4, checked=3, planned=80, due=5, due_a_day=80.0, next=turns)
    outlook = rotation.outlook(queue, 80, NOW)
    assert (outlook.artists, outlook.checked, outlook.every) == (4, 3, "every 2 days")
    assert outlook.upcoming == (
        ("x", NOW),
        ("y", NOW + 2 * apart),
        ("z", NOW + 5 * apart),
        ("w", late),
    )


def test_the_outlook_foresees_early_checks() -> None:
    hour, later = timedelta(hours=1), NOW + 3 * DAY
    turns = (
        Turn("failed", 1, NOW + DAY, NOW - 2 * DAY, failures=1),
        Turn("was checked", 2, later, NOW - 10 * hour),
        Turn("soon", 3, later, NOW - DAY),
        Turn("never checked", 4, later),
    )
    queue = Queue(mine=4, planned=20, due=1, due_a_day=20 / 7, last=NOW - hour / 8, next=turns)
    outlook = rotation.outlook(queue, 80, NOW)
    assert outlook.every == "every 13 hours"
    start = NOW - hour / 8 + rotation.spacing(80)
    assert outlook.upcoming == (
        ("was checked", NOW + 2 * hour),
        ("soon", start + 25 * hour / 40 + 2 * 25 * hour / 36),
        ("failed", NOW + DAY),
        ("never checked", later),
    )


@pytest.mark.parametrize(
    ("artists", "interval", "calls", "every"),
    [
        (120, 1, 80, "every 3 days"),
        (40, 1, 80, "every day"),
        (10, 1, 80, "every 12 hours"),
        (24, 7, 80, "every 16 hours"),
        (160, 7, 80, "every 4 days"),
        (500, 7, 80, "every 12 days"),
    ],
)
def test_the_days_between_two_checks_follow_from_the_plan_and_the_ceiling(
    artists: int, interval: int, calls: int, every: str
) -> None:
    days = rotation.days_between(artists, artists / interval, calls)
    assert rotation.RotationOutlook(artists, days_between=days).every == every


def test_nobody_wanted_is_no_division_by_zero() -> None:
    outlook = rotation.RotationOutlook(days_between=rotation.days_between(0, 0, 0))
    assert outlook.completeness == 1
    assert rotation.days_between(1, 1, 0) == 7


def test_the_calls_of_a_day_are_spread() -> None:
    assert rotation.spacing(80) == timedelta(hours=25) / 40
    assert rotation.spacing(1) == timedelta(hours=25)
