"""A day begins at the first moment of its date in a zone, whatever the clocks there do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.catalog import zones
from server.catalog.lifetime import BuildContext

SECOND = timedelta(seconds=1)
# Some put their clocks forward or back at midnight, and one has left out a day.
PLACES = [
    *["UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "America/Havana"],
    *["Africa/Cairo", "Asia/Beirut", "America/Sao_Paulo", "Asia/Tehran", "Australia/Lord_Howe"],
    *["Pacific/Apia", "Pacific/Kiritimati", "Asia/Kathmandu", "Etc/GMT+12", "America/Asuncion"],
]
places = st.sampled_from(PLACES)
moments = st.datetimes(
    datetime(2012, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC), allow_imaginary=False
)


@given(places, st.dates(date(2012, 1, 1), date(2040, 1, 1)))
@example("America/Santiago", date(2026, 9, 6))  # begins at one
@example("America/Havana", date(2026, 11, 1))  # has its first hour twice
@example("Africa/Cairo", date(2026, 4, 24))
@example("Pacific/Apia", date(2011, 12, 31))  # the day after the one left out
@example("Europe/Berlin", date(2026, 3, 29))
def test_a_day_begins_at_its_first_moment(place: str, day: date) -> None:
    where = zones.zone(place)
    begins = zones.start_of_day(day, where)
    assert zones.day_in(begins, where) == day
    assert zones.day_in(begins - SECOND, where) < day
    assert zones.end_of_day(day, where) == zones.start_of_day(day + timedelta(days=1), where)


@given(places, moments)
def test_the_next_day_begins_when_the_seconds_to_midnight_are_over(
    place: str, now: datetime
) -> None:
    where = zones.zone(place)
    left = zones.seconds_to_midnight(now, where)
    assert 0 < left <= 25 * 3600
    midnight = now + timedelta(seconds=left)
    today = zones.day_in(now, where)
    assert zones.day_in(midnight, where) == today + timedelta(days=1)
    assert zones.day_in(max(now, midnight - SECOND), where) == today


@pytest.mark.parametrize(
    ("day", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-12-31", 24), ("2028-02-29", 24)],
)
def test_a_day_has_as_many_hours_as_its_clocks_show(day: str, hours: int) -> None:
    where = zones.zone("Europe/Berlin")
    begins = zones.start_of_day(date.fromisoformat(day), where)
    assert zones.seconds_to_midnight(begins, where) == hours * 3600


def test_the_calendar_begins_and_ends_in_every_zone() -> None:
    for place in PLACES:
        where = zones.zone(place)
        for day in (date.min, date.max):
            assert zones.start_of_day(day, where) <= zones.end_of_day(day, where), place


@pytest.mark.parametrize(
    "name",
    [
        "",
        "America",  # a folder
        "Factory",
        "localtime",
        "posixrules",
        "right/UTC",
        "posix/Europe/Berlin",
        "zone.tab",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Berlin",
        "Europe/Berlin\n",
        "Europe/Berlin\0",
        "Europe/Bërlin",
        "europe/berlin",
        "UTC+1",
        "CEST",
        "+01:00",
        "A" * 5000,
        "A/" * 100,
    ],
)
def test_what_is_no_zone_of_the_database_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be a time zone"):
        zones.zone(name)


def test_every_zone_of_the_database_is_known() -> None:
    for name in available_timezones() - {"Factory", "localtime"}:
        assert zones.NAME.fullmatch(name), name
        assert zones.zone(name) is zones.zone(name)


def test_an_answer_of_a_day_is_valid_until_midnight_in_its_zone() -> None:
    now = datetime(2026, 10, 24, 21, 59, tzinfo=UTC)  # a minute before midnight in Berlin
    context = BuildContext(now, 1000, 100_000)
    for place, left in (("Europe/Berlin", 60), ("UTC", 7260), ("America/New_York", 6 * 3600 + 60)):
        life = context.lifetime(15, zones.zone(place))
        assert life.seconds + life.max_age + life.revalidate <= left, place
        assert life.seconds >= left / 2 - 1, place
    assert context.lifetime(15, None).seconds == 99_000
