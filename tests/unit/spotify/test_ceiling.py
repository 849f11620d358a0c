"""Ceilings: how they start, what a refusal teaches, and how they rise again."""

from datetime import UTC, datetime, timedelta

import pytest

from server.spotify.limits.ceiling import (
    Ceiling,
    current,
    lowered,
    means_spent,
    raised,
    starting,
)
from server.spotify.limits.quota import ARTIST_ALBUMS, hour_of

NOW = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


def calls(*numbers: int, now: datetime = NOW) -> dict[datetime, int]:
    """Calls of this hour, the hour before it, and so on."""
    return {hour_of(now) - timedelta(hours=back): each for back, each in enumerate(numbers)}


@pytest.mark.parametrize(
    ("bucket", "most", "expected"),
    [
        (ARTIST_ALBUMS, 500, 80),
        ("/search", 500, 300),
        ("/artists", 500, 450),
        ("/artists", 200, 200),
        (ARTIST_ALBUMS, 20, 20),
        ("/search", 3000, 300),
        ("/search", 3001, 3001),
    ],
)
def test_each_bucket_starts_low_and_never_above_the_setting(
    bucket: str, most: int, expected: int
) -> None:
    assert starting(bucket, most) == expected


@pytest.mark.parametrize(
    ("reason", "retry_after", "expected"),
    [
        ("", 35, False),
        ("", 3600, False),
        ("", 3601, True),
        ("", None, False),
        ("QUOTA_EXCEEDED", None, True),
        ("QUOTA_EXCEEDED", 11, True),
        ("RATE_LIMITED", 11, False),
    ],
)
def test_a_long_pause_or_its_reason_means_that_the_quota_is_spent(
    reason: str, retry_after: int | None, expected: bool
) -> None:
    assert means_spent(reason, retry_after) is expected


def test_a_refusal_teaches_four_fifths_of_the_calls_since_the_window_began() -> None:
    ledger = calls(11, 20, 30, 40, 500)  # the window began three hours ago, in its own hour
    learnt = lowered(None, "/artists", ledger, 86_400 - 3 * 3600, NOW, 500)
    assert learnt == Ceiling(80, NOW, NOW, 100)


def test_without_a_retry_after_the_window_is_the_last_day() -> None:
    learnt = lowered(None, "/artists", calls(*[10] * 30), None, NOW, 500)
    assert learnt is not None
    assert learnt.refused_calls == 249  # 24 whole hours, the one that has begun, one refused call


def test_a_refusal_never_raises_a_ceiling() -> None:
    known = Ceiling(60, NOW, NOW, 75)
    learnt = lowered(known, ARTIST_ALBUMS, calls(100), 86_399, NOW, 500)
    assert learnt is not None
    assert learnt.per_day == 60


def test_a_refusal_after_a_handful_of_own_calls_teaches_nothing() -> None:
    assert lowered(None, "/search", calls(10), 80_000, NOW, 500) is None
    assert lowered(None, "/search", {}, 80_000, NOW, 500) is None
    assert lowered(None, "/search", calls(11), 80_000, NOW, 500) is not None


@pytest.mark.parametrize("retry_after", [86_400, 86_401, 172_800])
def test_a_pause_of_a_day_or_longer_does_not_say_when_the_window_began(retry_after: int) -> None:
    learnt = lowered(None, "/search", calls(51, *[10] * 30), retry_after, NOW, 500)
    assert learnt is not None
    assert learnt.refused_calls == 50 + 24 * 10


def test_a_short_pause_for_a_spent_quota_means_that_its_window_is_nearly_over() -> None:
    learnt = lowered(None, "/search", calls(1, *[10] * 30), 1, NOW, 500)
    assert learnt is not None
    assert (learnt.refused_calls, learnt.per_day) == (240, 192)


def test_a_refusal_lowers_what_the_ceiling_has_risen_to() -> None:
    known = Ceiling(80, NOW - WEEK)
    learnt = lowered(known, ARTIST_ALBUMS, calls(201), 80_000, NOW, 500)
    assert learnt is not None
    assert learnt.per_day == 88


def test_a_ceiling_that_was_never_refused_is_no_lower_than_the_starting_value() -> None:
    assert current(None, "/search", NOW, 500) == Ceiling(300, NOW)
    assert current(Ceiling(100, NOW), "/search", NOW, 500).per_day == 300
    assert current(Ceiling(100, NOW, NOW, 125), "/search", NOW, 500).per_day == 100
    assert current(Ceiling(300, NOW), "/search", NOW, 100).per_day == 300, "kept, but not used"


def test_a_setting_for_extended_quota_mode_is_the_ceiling_until_a_refusal() -> None:
    assert current(Ceiling(300, NOW), "/search", NOW, 100_000).per_day == 100_000
    assert current(Ceiling(400, NOW, NOW, 500), "/search", NOW, 100_000).per_day == 400
    assert current(Ceiling(100_000, NOW), "/search", NOW, 500).per_day == 300


def test_after_each_week_without_a_refusal_it_rises_by_a_tenth_up_to_the_setting() -> None:
    known, seen, now = Ceiling(80, NOW), [], NOW
    for _ in range(6):
        now += WEEK
        known = raised(known, now, 120)
        seen.append(known.per_day)
    assert seen == [88, 96, 105, 115, 120, 120]
    assert raised(Ceiling(80, NOW), NOW + WEEK - timedelta(seconds=1), 120).per_day == 80


def test_a_tiny_ceiling_rises_by_one() -> None:
    assert raised(Ceiling(3, NOW), NOW + WEEK, 500).per_day == 4


def test_a_number_that_was_refused_is_not_reached_again_for_ninety_days() -> None:
    known, now = Ceiling(80, NOW, NOW, 100), NOW
    for _ in range(12):
        now += WEEK
        known = raised(known, now, 500)
    assert known.per_day == 99
    assert raised(known, NOW + timedelta(days=98), 500).per_day == 108


def test_a_clock_that_was_put_back_does_not_keep_a_ceiling_low() -> None:
    ahead = Ceiling(80, NOW + timedelta(days=3650), NOW + timedelta(days=3650), 100)
    known = raised(ahead, NOW, 500)
    assert (known.per_day, known.changed_at, known.refused_at) == (80, NOW, NOW)
    assert raised(known, NOW + WEEK, 500).per_day == 88
