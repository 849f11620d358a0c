"""Pauses, case by case: how long each is, and what the one before has to say in it."""

from datetime import UTC, datetime, timedelta

import pytest

from server.spotify.limits.cooldown import (
    DEFAULT_COOLDOWN,
    MAX_COOLDOWN,
    Cooldown,
    next_cooldown,
    read_retry_after,
)

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)


def cooldown_of(seconds: float, unnamed: int = 0) -> Cooldown:
    """One that lasts for so many seconds from now on."""
    return Cooldown(NOW - timedelta(hours=1), NOW + timedelta(seconds=seconds), "before", unnamed)


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        (0.001, 1),
        (1, 1),
        (1.5, 2),
        (0, 0),
        (-0.5, 0),
        (-5, 0),
        (MAX_COOLDOWN, MAX_COOLDOWN),
        (MAX_COOLDOWN + 1, MAX_COOLDOWN),
    ],
)
def test_a_pause_has_whole_seconds_left_and_none_when_it_is_over(seconds: float, left: int) -> None:
    assert cooldown_of(seconds).seconds_left(NOW) == left


def test_a_quarter_of_an_hour_is_the_pause_without_a_name_and_two_days_the_longest() -> None:
    assert (DEFAULT_COOLDOWN, MAX_COOLDOWN) == (900, 172_800)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("+35", 35),
        ("1.000000001", 2),
        ("60s", 60),
        ("60S", None),
        ("60 ; x", 60),
        ("10, 5", 10),
        ("5, soon", 5),
        ("soon, 5", None),
        ("60x", None),
        ("1.", None),
        (str(MAX_COOLDOWN - 1), MAX_COOLDOWN - 1),
        ("Fri, 20 Nov 2026 05:00:14 GMT", 2),
        ("Fri, 20 Nov 2026 05:00:12 GMT", 1),
    ],
)
def test_odd_fields_are_read_as_far_as_they_can_be(retry_after: str, seconds: int | None) -> None:
    assert read_retry_after(retry_after, NOW) == seconds


def test_a_first_pause_begins_now_and_is_as_long_as_it_is_named() -> None:
    assert next_cooldown(None, 11, "429", NOW) == Cooldown(
        NOW, NOW + timedelta(seconds=11), "429", 0
    )


@pytest.mark.parametrize(
    ("unnamed", "seconds"),
    [(0, 900), (1, 1800), (2, 3600), (7, 115_200), (8, MAX_COOLDOWN), (5000, MAX_COOLDOWN)],
)
def test_one_that_names_no_time_is_twice_as_long_as_the_last_such(
    unnamed: int, seconds: int
) -> None:
    following = next_cooldown(cooldown_of(-1, unnamed), None, "429", NOW)
    assert following == Cooldown(NOW, NOW + timedelta(seconds=seconds), "429", unnamed + 1)


def test_one_that_names_a_time_does_not_count_as_unnamed_nor_ends_the_counting() -> None:
    assert next_cooldown(cooldown_of(-1, 3), 11, "429", NOW).unnamed == 3


@pytest.mark.parametrize(("before", "seconds"), [(60, 60), (12, 12), (11, 11), (10, 11), (-60, 11)])
def test_one_that_lasts_longer_already_is_not_cut_short(before: int, seconds: int) -> None:
    following = next_cooldown(cooldown_of(before), 11, "429", NOW)
    assert following == Cooldown(NOW, NOW + timedelta(seconds=seconds), "429", 0)
