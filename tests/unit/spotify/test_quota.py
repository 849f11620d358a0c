"""Counting calls by the hour: never too many, and never hoarded."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.spotify.limits.quota import (
    COUNTED_FOR,
    HOUR,
    bucket_of,
    corrected,
    hour_of,
    room_at,
    spacing,
    used,
)

NOW = datetime(2026, 11, 20, 5, 20, tzinfo=UTC)
HOURS = st.dictionaries(st.integers(0, 30), st.integers(0, 60)).map(
    lambda ages: {hour_of(NOW) - age * HOUR: calls for age, calls in ages.items()}
)


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        ("/search", "/search"),
        ("/browse/new-releases", "/browse/new-releases"),
        ("/artists", "/artists"),
        ("/artists/0LyfQWJT6nXafLPZqxe9Of", "/artists"),
        ("/artists/0LyfQWJT6nXafLPZqxe9Of/albums", "/artists/{id}/albums"),
        ("/artists/albums", "/artists"),
        ("/me", "/me"),
        ("/me/following", "/me/following"),
        ("/me/following/contains", "/me/following"),
        ("/me/library/contains", "/me/library"),
        ("/me/playlists", "/me/playlists"),
        ("/me/tracks", "/me"),
        ("/playlists/37i9dQZF1DXcBWIGoYBM5M/items", "/playlists"),
        ("me/", "/me"),
        ("/browse/new-releases/x", "/browse/new-releases/x"),
    ],
)
def test_a_bucket_is_an_endpoint_whatever_the_id(path: str, bucket: str) -> None:
    assert bucket_of(path) == bucket


def test_an_hour_counts_as_long_as_any_of_it_lies_in_the_last_day() -> None:
    start = hour_of(NOW)
    assert used({start - 24 * HOUR: 5, start - 25 * HOUR: 7, start: 1}, NOW) == 6
    assert used({start - 24 * HOUR: 5}, start + HOUR) == 0


def test_an_hour_starts_at_its_first_instant() -> None:
    start = datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert hour_of(datetime(2026, 11, 20, 5, 59, 59, 999_999, tzinfo=UTC)) == start
    assert hour_of(start) == start


def test_an_hour_counts_for_25_hours_to_the_instant() -> None:
    start = hour_of(NOW)
    assert used({start: 5}, start + timedelta(hours=25) - timedelta(microseconds=1)) == 5
    assert used({start: 5}, start + timedelta(hours=25)) == 0


@pytest.mark.parametrize(
    ("calls", "most", "hours"),
    [(1, 12, 0), (2, 12, 0), (3, 12, 5), (8, 12, 5), (9, 12, 23), (12, 12, 23), (13, 12, None)],
)
def test_room_comes_as_the_oldest_hours_leave(calls: int, most: int, hours: int | None) -> None:
    start = hour_of(NOW)
    windows = {start - 2 * HOUR: 4, start - 20 * HOUR: 6, start - 25 * HOUR: 99}
    expected = {None: None, 0: NOW}.get(hours, start + (hours or 0) * HOUR)
    assert room_at(windows, NOW, calls, most) == expected


def test_an_hour_that_stops_counting_right_now_spaces_nothing_out() -> None:
    start = hour_of(NOW)
    assert spacing({start - 25 * HOUR: 450}, start, 10, 450) == COUNTED_FOR / 45


def test_a_sweep_that_never_fits_has_the_whole_reach_between() -> None:
    assert spacing({}, NOW, 50, 20) == COUNTED_FOR


def test_a_quota_that_is_overdrawn_is_waited_for() -> None:
    start = hour_of(NOW)
    windows = {start - 20 * HOUR: 300, start - 10 * HOUR: 300}
    assert spacing(windows, NOW, 10, 450) == start + 5 * HOUR - NOW


def test_the_widest_of_all_distances_counts() -> None:
    start = hour_of(NOW)
    windows = {start: 440, start - 20 * HOUR: 5}
    assert spacing(windows, NOW, 5, 450) == (start + 25 * HOUR - NOW) / 3


@given(HOURS, st.integers(1, 100), st.integers(1, 600))
def test_when_there_is_room_the_calls_fit_and_a_moment_earlier_they_do_not(
    windows: dict[datetime, int], calls: int, most: int
) -> None:
    moment = room_at(windows, NOW, calls, most)
    if moment is None:
        assert calls > most
        return
    assert used(windows, moment) + calls <= most
    if moment > NOW:
        assert used(windows, moment - timedelta(seconds=1)) + calls > most


@given(HOURS, st.integers(1, 30), st.integers(30, 600))
def test_sweeps_at_the_spacing_always_find_room(
    windows: dict[datetime, int], cost: int, most: int
) -> None:
    """Walk on for three days as the schedule does, asking anew after every sweep."""
    books, now, end = dict(windows), NOW, NOW + timedelta(days=3)
    books = {start: calls for start, calls in books.items() if start + COUNTED_FOR > now}
    while now < end:
        now += spacing(books, now, cost, most)
        assert used(books, now) + cost <= most
        books[hour_of(now)] = books.get(hour_of(now), 0) + cost


@given(st.integers(1, 30), st.integers(30, 600))
def test_a_fresh_day_is_spread_evenly(cost: int, most: int) -> None:
    assert spacing({}, NOW, cost, most) == COUNTED_FOR / (most // cost)


def test_what_is_left_lasts_until_more_comes_back() -> None:
    start = hour_of(NOW)
    windows = {start - 20 * HOUR: 440}
    # 10 calls are left for the 4 h 40 min until the 440 count no more: one sweep, then wait.
    assert spacing(windows, NOW, 10, 450) == (start + 5 * HOUR - NOW) / 2


def hours_from_now(calls: dict[int, int]) -> dict[datetime, int]:
    return {hour_of(NOW) + hour * HOUR: number for hour, number in calls.items()}


def test_a_clock_that_was_put_back_leaves_the_calls_as_far_apart_as_they_were() -> None:
    before = hours_from_now(dict.fromkeys(range(-20, 25), 1))
    assert corrected(before, NOW) == hours_from_now(dict.fromkeys(range(-44, 1), 1))


def test_calls_that_a_right_clock_counted_before_one_that_ran_ahead_stay_where_they_are() -> None:
    before = hours_from_now({-3: 5, -2: 6, 22: 7, 24: 8})
    assert corrected(before, NOW) == hours_from_now({-3: 5, -2: 6 + 7, 0: 8})


def test_of_calls_of_two_wrong_clocks_none_stays_in_the_future() -> None:
    before = hours_from_now({-3: 5, 24: 6, 2400: 7})
    assert corrected(before, NOW) == hours_from_now({-3: 5, 24 - 2400: 6, 0: 7})


@given(
    st.dictionaries(st.integers(-60, 60), st.integers(1, 9), min_size=1).map(hours_from_now),
    st.integers(0, 59),
)
def test_a_clock_put_back_loses_no_call_and_lets_none_be_newer_than_now(
    before: dict[datetime, int], minute: int
) -> None:
    now = NOW.replace(minute=minute)
    after = corrected(before, now)
    assert sum(after.values()) == sum(before.values())
    assert max(after) <= hour_of(now)
    assert corrected(after, now) == after
    if max(before) <= now:
        assert after == before
    else:
        assert after[hour_of(now)] >= before[max(before)]
