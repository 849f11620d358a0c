"""The six-month clock: calendar months, month ends, leap years, and the days that are left."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.spotify.consent import REMIND_FROM, Consent, ConsentState, end_of_consent
from server.standin.accounts.tokens import months_later

MOMENTS = st.datetimes(
    datetime(2015, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)
STATES = st.sampled_from(["active", "consent_needed", "unreadable"])


def consent(at: datetime, state: ConsentState = "active") -> Consent:
    return Consent("account", state, (), at)


@pytest.mark.parametrize(
    ("authorized", "end"),
    [
        ("2026-11-20T05:00:12", "2027-05-20T05:00:12"),
        ("2026-01-01T00:00:00", "2026-07-01T00:00:00"),
        ("2026-06-30T23:59:59.999999", "2026-12-30T23:59:59.999999"),
        ("2026-07-31T12:00:00", "2027-01-31T12:00:00"),
        ("2026-08-28T12:00:00", "2027-02-28T12:00:00"),
        ("2026-08-29T12:00:00", "2027-02-28T12:00:00"),
        ("2026-08-31T12:00:00", "2027-02-28T12:00:00"),
        ("2027-08-29T12:00:00", "2028-02-29T12:00:00"),
        ("2027-08-31T12:00:00", "2028-02-29T12:00:00"),
        ("2028-02-29T12:00:00", "2028-08-29T12:00:00"),
        ("2027-02-28T12:00:00", "2027-08-28T12:00:00"),
        ("2099-08-31T12:00:00", "2100-02-28T12:00:00"),
        ("2026-03-31T12:00:00", "2026-09-30T12:00:00"),
        ("2026-05-31T12:00:00", "2026-11-30T12:00:00"),
        ("2026-10-31T12:00:00", "2027-04-30T12:00:00"),
        ("2026-12-31T23:59:59", "2027-06-30T23:59:59"),
    ],
)
def test_a_consent_ends_six_calendar_months_later(authorized: str, end: str) -> None:
    at = datetime.fromisoformat(authorized).replace(tzinfo=UTC)
    assert end_of_consent(at) == datetime.fromisoformat(end).replace(tzinfo=UTC)


@given(MOMENTS)
def test_the_end_has_the_day_and_time_of_the_beginning_where_the_month_has_it(
    at: datetime,
) -> None:
    end = end_of_consent(at)
    assert (end.year - at.year) * 12 + end.month - at.month == 6
    assert end.timetz() == at.timetz()
    assert end.day == at.day or (end.day < at.day and (end + timedelta(days=1)).day == 1)
    assert timedelta(days=181) <= end - at <= timedelta(days=184)


@given(MOMENTS, MOMENTS)
def test_a_later_consent_never_ends_sooner(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert end_of_consent(earlier) <= end_of_consent(later)


@given(MOMENTS)
def test_the_stand_in_counts_the_same_months(at: datetime) -> None:
    assert end_of_consent(at) == months_later(at, 6)


def test_the_clock_face_of_the_beginning_is_kept_in_every_zone() -> None:
    zone = timezone(timedelta(hours=14))
    at = datetime(2026, 8, 31, 1, tzinfo=zone)
    assert end_of_consent(at) == datetime(2027, 2, 28, 1, tzinfo=zone)


@pytest.mark.parametrize(
    ("before_the_end", "days"),
    [
        (timedelta(days=31), 31),
        (timedelta(days=31) - timedelta(microseconds=1), 30),
        (timedelta(days=30), 30),
        (timedelta(days=1), 1),
        (timedelta(days=1) - timedelta(microseconds=1), 0),
        (timedelta(seconds=1), 0),
        (timedelta(0), 0),
        (timedelta(seconds=-1), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_whole_days_are_left_and_never_less_than_none(before_the_end: timedelta, days: int) -> None:
    held = consent(datetime(2026, 11, 20, tzinfo=UTC))
    assert held.days_left(held.ends_at - before_the_end) == days


@given(MOMENTS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=400)), STATES)
def test_days_only_become_fewer(
    at: datetime, now: datetime, later: timedelta, state: ConsentState
) -> None:
    held = consent(at, state)
    assert held.days_left(now) >= held.days_left(now + later) >= 0


@given(MOMENTS, MOMENTS)
def test_a_consent_that_is_needed_has_no_days_left(at: datetime, now: datetime) -> None:
    assert consent(at, "consent_needed").days_left(now) == 0


@given(MOMENTS, MOMENTS)
def test_a_consent_that_cannot_be_read_lasts_as_long_as_any(at: datetime, now: datetime) -> None:
    assert consent(at, "unreadable").days_left(now) == consent(at).days_left(now)


def test_no_consent_is_reminded_of_from_its_first_day() -> None:
    at = datetime(2026, 9, 1, tzinfo=UTC)
    assert consent(at).days_left(at) > REMIND_FROM
