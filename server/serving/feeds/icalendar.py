"""Writes iCalendar (RFC 5545, RFC 7986): an all-day event per release with an exact date. Pure.

Written by hand, because the library that the tests use takes half a millisecond per event.
"""

from collections.abc import Sequence

from server.catalog.release import Release
from server.serving.feeds.feed import Channel

MAX_LINE_BYTES = (
    75  # bytes of a line without its end; longer ones are folded (RFC 5545 section 3.1)
)


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """Write a calendar; releases dated by month or year only are left out."""
    title = _text(channel.title)
    head = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n"
        "PRODID:-//Freshet//New releases//EN\r\nMETHOD:PUBLISH\r\n"
        f"{_line(f'NAME:{title}')}{_line(f'X-WR-CALNAME:{title}')}"
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n"
    )
    events = [_event(each, each.released_on) for each in releases if each.released_on]
    return "".join([head, *events, "END:VCALENDAR\r\n"]).encode()


def _event(release: Release, released_on: str) -> str:
    """Write an event without an end, which lasts the day it begins on (section 3.6.1)."""
    updated = _compact(release.updated)
    return (
        f"BEGIN:VEVENT\r\n{_line(f'SUMMARY:{_text(release.title)}')}"
        f"DTSTART;VALUE=DATE:{_compact(released_on)}\r\n"
        f"DTSTAMP:{updated}\r\nUID:{release.spotify_id}@album.spotify.com\r\n"
        f"{_line(f'CATEGORIES:{_text(release.kind)}') if release.kind else ''}"
        f"CREATED:{_compact(release.first_seen)}\r\n"
        f"{_line(f'DESCRIPTION:{_text(release.about)}')}"
        f"LAST-MODIFIED:{updated}\r\nTRANSP:TRANSPARENT\r\n"
        f"{_line(f'URL:{_joined(release.url)}') if release.url else ''}END:VEVENT\r\n"
    )


def _joined(address: str) -> str:
    """Remove whitespace from an address, since a line break would end the property."""
    return "".join(address.split())


def _text(text: str) -> str:
    """Escape text (RFC 5545 section 3.3.11)."""
    text = text.replace("\\", r"\\").replace(";", r"\;").replace(",", r"\,")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", r"\n")


def _compact(moment: str) -> str:
    return moment.replace("-", "").replace(":", "")


def _line(line: str) -> str:
    """Terminate a line, and fold it between characters if it is too long (section 3.1)."""
    if len(line) <= MAX_LINE_BYTES and line.isascii():
        return f"{line}\r\n"
    folded, rest = "", line.encode()
    while len(rest) > MAX_LINE_BYTES:
        cut = MAX_LINE_BYTES
        while rest[cut] & 0xC0 == 0x80:  # within a character of UTF-8
            cut -= 1
        folded += f"{rest[:cut].decode()}\r\n"
        rest = b" " + rest[cut:]
    return f"{folded}{rest.decode()}\r\n"
