"""Days in time zones: which day it is, and when one begins. Pure, but for the data of the zones.

Python reads them from the operating system, or else from the package `tzdata`.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}", re.ASCII)
UNSET = "Factory"  # of the database of zones: a machine whose zone has not been set
DAY = timedelta(days=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


@lru_cache(1024)
def zone(name: str) -> tzinfo:
    """Return a zone of the IANA time zone database by its name. Raises ValueError."""
    if name == "UTC":
        return UTC
    try:
        if NAME.fullmatch(name) and name != UNSET:
            return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of zones, another file among them
        pass
    raise ValueError("must be a time zone that this server knows, such as Europe/Berlin")


def day_in(now: datetime, where: tzinfo) -> date:
    """Return which day it is in a zone."""
    return now.astimezone(where).date()


def start_of_day(day: date, where: tzinfo) -> datetime:
    """Return when a day begins in a zone, in UTC.

    Where clocks are put forward at midnight it begins later, at one; where they are put back, its
    first midnight counts. Days at the ends of the calendar begin within it.
    """
    try:
        return datetime.combine(day, time(), where).astimezone(UTC)
    except OverflowError:
        return FIRST if day.year == 1 else LAST


def end_of_day(day: date, where: tzinfo) -> datetime:
    """Return when the next day begins in a zone, in UTC."""
    return LAST if day == date.max else start_of_day(day + DAY, where)


def seconds_to_midnight(now: datetime, where: tzinfo = UTC) -> float:
    """Return the seconds until the next day begins in a zone."""
    return (end_of_day(day_in(now, where), where) - now).total_seconds()
