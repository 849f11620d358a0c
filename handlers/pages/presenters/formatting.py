"""Formats times, dates and numbers for people. Pure."""

from datetime import date, datetime

from server.catalog.release import is_upcoming


def moment(time: datetime) -> str:
    """Format a UTC time: 20 November 2026, 05:00 UTC."""
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def day_words(day: date) -> str:
    """Format a day: 20 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def date_words(text: str | None) -> str:
    """Format a release date of 4, 7 or 10 characters: 2026, Nov 2026 or 20 Nov 2026."""
    if text is None:
        return "undated"
    try:
        if len(text) == 7:
            return f"{date.fromisoformat(text + '-01'):%b %Y}"
        return day_words(date.fromisoformat(text)) if len(text) == 10 else text
    except ValueError:  # Spotify has sent 0000-00-00
        return text


def machine_date(text: str | None) -> str | None:
    """Return a release date if it is valid for HTML's `time` element, which has no year 0000.

    Source: html.spec.whatwg.org, section 2.3.5 (months, dates, years).
    """
    if text is None:
        return None
    try:
        date.fromisoformat(text + "-01-01"[len(text) - 4 :])
    except ValueError:
        return None
    return text


def coming_words(text: str | None, today: date) -> str | None:
    """Return the words before an upcoming release date; None if the date is not upcoming.

    A year or a month that has started is not upcoming.
    """
    if text is None or not is_upcoming(text, today.isoformat()):
        return None
    return "Out on" if len(text) == 10 else "Out in"


def grouped(number: int) -> str:
    """Format a number with digits in groups of three: 12 345 (ISO 80000-1 section 7.3.1)."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def counted(number: int, noun: str) -> str:
    """Format a number of things: 1 track, 2 tracks."""
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Format a time span in its two largest units: 2 h 5 min."""
    minutes, left = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = {"d": days, "h": hours, "min": minutes, "s": left}
    words = [f"{count} {unit}" for unit, count in parts.items() if count]
    return " ".join(words[:2]) or "0 s"
