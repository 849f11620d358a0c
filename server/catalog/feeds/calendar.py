"""iCalendar (RFC 5545, RFC 7986): a day-long event a release whose very day is known. Pure.

Written by hand: the library that the tests read it with takes half a millisecond an event.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from server.catalog.feeds.release import Channel, Release

LONGEST = 75  # bytes of a line without its end; longer ones are folded (RFC 5545 section 3.1)
DAY = timedelta(days=1)


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """A calendar; what is dated by month or year only has no day to stand on."""
    title = _text(channel.title)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Freshet//New releases//EN",
        "METHOD:PUBLISH",
        f"NAME:{title}",
        f"X-WR-CALNAME:{title}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    ]
    for release in releases:
        if release.released_on:
            lines += _event(release, date.fromisoformat(release.released_on))
    lines.append("END:VCALENDAR\r\n")
    return "\r\n".join(lines).encode()


def _event(release: Release, day: date) -> Iterator[str]:
    updated = _compact(release.updated)
    yield "BEGIN:VEVENT"
    yield _folded(f"SUMMARY:{_text(release.title)}")
    yield f"DTSTART;VALUE=DATE:{_compact(day.isoformat())}"
    yield f"DTEND;VALUE=DATE:{_compact((day + DAY).isoformat())}"
    yield f"DTSTAMP:{updated}"
    yield f"UID:{release.spotify_id}@album.spotify.com"
    if release.kind:
        yield _folded(f"CATEGORIES:{_text(release.kind)}")
    yield f"CREATED:{_compact(release.first_seen)}"
    yield _folded(f"DESCRIPTION:{_text(release.about)}")
    yield f"LAST-MODIFIED:{updated}"
    yield "TRANSP:TRANSPARENT"
    if release.url:
        yield _folded(f"URL:{''.join(release.url.split())}")  # which no blank may end
    yield "END:VEVENT"


def _text(text: str) -> str:
    """Text as section 3.3.11 of RFC 5545 escapes it."""
    text = text.replace("\\", r"\\").replace(";", r"\;").replace(",", r"\,")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", r"\n")


def _compact(moment: str) -> str:
    return moment.replace("-", "").replace(":", "")


def _folded(line: str) -> str:
    """A line, folded between characters where it is too long."""
    if len(line) <= LONGEST and line.isascii():
        return line
    folded, rest = [], line.encode()
    while len(rest) > LONGEST:
        cut = LONGEST
        while rest[cut] & 0xC0 == 0x80:  # within a character of UTF-8
            cut -= 1
        folded.append(rest[:cut].decode())
        rest = b" " + rest[cut:]
    return "\r\n".join([*folded, rest.decode()])
