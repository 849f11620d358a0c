"""The alarm for a feed that is stuck: when it rings, how often, and when it does not."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from server.catalog.snapshot import is_stuck
from server.sync.report import StuckFeed

NEW = datetime(2026, 11, 20, 5, tzinfo=UTC)


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def told(alarm: StuckFeed, *ages: float, complete: bool = True) -> list[int]:
    """The hours it tells, when it looks at these ages of what is newest."""
    with capture_logs() as logs:
        for age in ages:
            alarm.observe(NEW, NEW + hours(age), complete=complete)
    assert all((line["event"], line["new_at"]) == ("feed_stuck", NEW) for line in logs)
    return [line["hours"] for line in logs]


@pytest.mark.parametrize(
    ("new_at", "complete_at", "stuck"),
    [
        (None, None, False),
        (None, NEW, False),
        (NEW, None, False),
        (NEW, NEW, False),
        (NEW, NEW + hours(72) - timedelta(seconds=1), False),
        (NEW, NEW + hours(72), True),
        (NEW, NEW - hours(100), False),
    ],
)
def test_a_feed_is_stuck_after_three_days_of_complete_syncs_without_anything_new(
    new_at: datetime | None, complete_at: datetime | None, stuck: bool
) -> None:
    assert is_stuck(new_at, complete_at) is stuck


def test_it_is_told_when_it_begins_and_once_a_day_from_then_on() -> None:
    assert told(StuckFeed(), 0, 71.9, 72, 72.5, 95.9, 96, 119.9, 120.4) == [72, 96, 120]


def test_a_clock_that_is_put_back_does_not_silence_it() -> None:
    assert told(StuckFeed(), 500, 80, 90, 104) == [500, 80, 104]


def test_two_looks_at_one_moment_tell_it_once() -> None:
    assert told(StuckFeed(), 72, 72) == [72]


def test_syncs_that_are_not_complete_ring_no_alarm() -> None:
    assert told(StuckFeed(), 72, 500, complete=False) == []


def test_a_copy_that_never_had_anything_rings_none() -> None:
    with capture_logs() as logs:
        StuckFeed().observe(None, NEW, complete=True)
    assert logs == []
