"""iCalendar (RFC 5545, RFC 7986): a day-long event a release whose very day is known. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta

from icalendar import Calendar, Event

from server.catalog.feeds.release import Channel, Release


def write(channel: Channel, releases: Sequence[Release]) -> bytes:
    """A calendar; what is dated by month or year only has no day to stand on."""
    calendar = Calendar()
    calendar.add("prodid", "-//Freshet//New releases//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", channel.title)
    calendar.add("x-wr-calname", channel.title)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"value": "DURATION"})
    for release in releases:
        if release.released_on:
            calendar.add_component(_event(release, date.fromisoformat(release.released_on)))
    written: bytes = calendar.to_ical()
    return written


def _event(release: Release, day: date) -> Event:
    event = Event()
    event.add("uid", f"{release.spotify_id}@album.spotify.com")
    event.add("dtstamp", release.updated)
    event.add("created", release.first_seen)
    event.add("last-modified", release.updated)
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("summary", release.title)
    event.add("description", release.about)
    event.add("transp", "TRANSPARENT")
    if release.url:
        event.add("url", release.url)
    if release.kind:
        event.add("categories", [release.kind])
    return event
