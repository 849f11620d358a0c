"""Counting calls by the hour: never too many, and never hoarded."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.spotify.ledger import (
    HOUR,
    REACH,
    Allowance,
    bucket_of,
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
        ("/me", "/me"),
    ],
)
def test_a_bucket_is_an_endpoint_whatever_the_id(path: str, bucket: str) -> None:
    assert bucket_of(path) == bucket


def test_an_hour_counts_as_long_as_any_of_it_lies_in_the_last_day() -> None:
    start = hour_of(NOW)
    assert used({start - 24 * HOUR: 5, start - 25 * HOUR: 7, start: 1}, NOW) == 6
    assert used({start - 24 * HOUR: 5}, start + HOUR) == 0


def test_a_tenth_is_kept_for_people() -> None:
    assert Allowance(500).most("interactive") == 500
    assert Allowance(500).most("background") == 450


@settings(deadline=None)
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


@settings(deadline=None)
@given(HOURS, st.integers(1, 30), st.integers(30, 600))
def test_sweeps_at_the_spacing_always_find_room(
    windows: dict[datetime, int], cost: int, most: int
) -> None:
    """Walk on for three days as the schedule does, asking anew after every sweep."""
    books, now, end = dict(windows), NOW, NOW + timedelta(days=3)
    books = {start: calls for start, calls in books.items() if start + REACH > now}
    while now < end:
        now += spacing(books, now, cost, most)
        assert used(books, now) + cost <= most
        books[hour_of(now)] = books.get(hour_of(now), 0) + cost


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(30, 600))
def test_a_fresh_day_is_spread_evenly(cost: int, most: int) -> None:
    assert spacing({}, NOW, cost, most) == REACH / (most // cost)


def test_what_is_left_lasts_until_more_comes_back() -> None:
    start = hour_of(NOW)
    windows = {start - 20 * HOUR: 440}
    # 10 calls are left for the 4 h 40 min until the 440 count no more: one sweep, then wait.
    assert spacing(windows, NOW, 10, 450) == (start + 5 * HOUR - NOW) / 2
