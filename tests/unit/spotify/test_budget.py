"""What each purpose may use of a bucket."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.spotify.limits.budget import BucketUsage, Budget
from server.spotify.limits.ceiling import Ceiling
from server.spotify.limits.quota import ARTIST_ALBUMS, hour_of

NOW = datetime(2026, 11, 20, 5, 20, tzinfo=UTC)
HOUR = hour_of(NOW)
UNUSED = BucketUsage()


def limit(bucket: str, purpose: Any, per_day: int = 500, usage: BucketUsage = UNUSED) -> int:
    return Budget(per_day).limit(bucket, usage, purpose, NOW)


def test_a_tenth_is_kept_for_people() -> None:
    assert limit("/artists", "interactive") == 450
    assert limit("/artists", "background") == 405


@pytest.mark.parametrize(("per_day", "most"), [(9, 9), (10, 9), (19, 18), (20, 18), (25, 23)])
def test_what_is_kept_is_rounded_down(per_day: int, most: int) -> None:
    assert limit("/artists", "background", per_day) == most


def test_tokens_have_no_limit_and_the_accounts_service_has_no_ceiling() -> None:
    assert limit("/api/token", "tokens", 1) == sys.maxsize
    assert limit("/api/token/unknown-browsers", "login") == 250
    assert Budget(500).ceiling("/api/token", UNUSED, NOW) is None


def test_logins_use_half_of_the_ceiling() -> None:
    assert limit("/me", "login") == 225


def test_followed_artists_use_what_background_work_may_but_of_search_a_third() -> None:
    assert limit(ARTIST_ALBUMS, "following") == 72
    assert limit("/me/following", "following") == 405
    assert limit("/search", "following") == 100


def test_a_learnt_ceiling_counts_up_to_the_setting() -> None:
    learnt = BucketUsage(ceiling=Ceiling(120, NOW, NOW, 150))
    assert limit("/search", "interactive", 500, learnt) == 120
    assert limit("/search", "interactive", 50, learnt) == 50


@pytest.mark.parametrize(
    ("calls", "following", "room"),
    [(0, 0, 100), (60, 60, 40), (100, 100, 0), (150, 0, 100), (200, 0, 70), (270, 0, 0)],
)
def test_followed_artists_get_their_share_of_search_or_what_syncs_have_left(
    calls: int, following: int, room: int
) -> None:
    usage = BucketUsage({HOUR: calls}, following_by_hour={HOUR: following})
    assert Budget(500).room("/search", usage, "following", NOW) == room
    assert Budget(500).room("/search", usage, "background", NOW) == 270 - calls


def test_a_call_for_followed_artists_counts_twice_and_another_one_once() -> None:
    before = HOUR - timedelta(hours=1)
    usage = BucketUsage({before: 3}, following_by_hour={before: 2})
    usage = usage.with_call(HOUR, "following").with_call(HOUR, "background")
    assert usage.calls_by_hour == {before: 3, HOUR: 2}
    assert usage.following_by_hour == {before: 2, HOUR: 1}
    assert usage.without_following() == {before: 1, HOUR: 1}
