"""Whatever date Spotify gives a release, a check stores it, and it harms no other one."""

from datetime import date
from itertools import product
from typing import Any

from icalendar import Calendar
from sqlalchemy.orm import Session

from handlers.pages.presenters import my_artists, release_grid
from handlers.pages.presenters.my_artists import MyGridQuery
from server.catalog import query as queries
from server.catalog.query import CalendarQuery
from server.catalog.snapshot import Snapshot
from server.database.executor import Database
from server.following import rotation
from server.serving import pages, payload
from server.spotify.list_parser import parse_items
from server.storage import artist_checks, snapshots
from server.storage.artist_checks import Check
from tests.support.examples import album, artist, spotify_id
from tests.support.odd_albums import DATES
from tests.support.stored_copy import Copy

HER = spotify_id("artist", 1)
ZONES = ("Pacific/Kiritimati", "Etc/GMT%2B12")  # 14 hours ahead of UTC, and 12 behind
ASKED = ("days=90&upcoming=include", "upcoming=only&sort=released", "sort=-seen&exclude=versions")
TODAYS = (date.min, date(2026, 11, 21), date.max)
NEAR, NEW = "2026-12-24", "2026-11-20"


def found(database: Database, copy: Copy) -> Snapshot:
    """Take releases of all odd dates and two usual ones by two checks; read the snapshot."""
    items: list[Any] = [
        album(number, artists=[artist(1)], release_date=text)
        for number, text in enumerate([NEAR, *DATES, NEW])
    ]
    for listed in (items[::2], items):
        copy.take([album(900)])
        with Session(database.engine) as session, session.begin():
            before = artist_checks.plan_checks(session, [HER], copy.at)[HER]
            check = Check(HER, "albums", parse_items(listed).releases, 2)
            _, after = artist_checks.record_check(
                session, check, before, lambda: copy.at, rotation.after_check
            )
        assert rotation.most_urgent([after], after.next_check_at) == after
    with Session(database.engine) as session:
        return snapshots.load(session, copy.at.date())


def test_odd_dates_harm_no_other_release_in_any_list_feed_or_zone(database: Database) -> None:
    copy = Copy(database)
    shown = found(database, copy)
    assert len(shown.albums) == len(DATES) + 3
    for kind, zone, asked, today in product(queries.ALL, ZONES, ASKED, TODAYS):
        query = queries.parse(kind, f"{asked}&tz={zone}")
        made = payload.build(shown, query, today=today, stale=False, max_age=15)
        assert made.left_out == (), (query.href, today)
        if kind is CalendarQuery:
            assert not Calendar.from_ical(made.body).errors
    query = queries.parse(MyGridQuery, f"tz={ZONES[0]}")
    row = my_artists.upcoming_row(query)
    assert row is not None
    today = copy.at.date()
    wall, above = (
        release_grid.build(shown, each, today, pages.select(shown, each, today))
        for each in (query, row)
    )
    assert wall.left_out == above.left_out == ()
    assert [card.day for card in wall.cards[:2]] == ["20 Nov 2026", "20 Nov 2026"]
    assert [card.day for card in above.cards] == ["24 Dec 2026", "9999", "Dec 9999", "31 Dec 9999"]


def test_an_impossible_day_stays_listed_once_and_no_other_release_with_it(
    database: Database,
) -> None:
    copy = Copy(database)
    found(database, copy)
    for _ in range(2):
        for days in (30, 1):
            copy.at += days * rotation.DAY
            copy.take([album(900)])
        with Session(database.engine) as session, session.begin():
            artist_checks.close_listings(session, [HER], copy.at)
    dates = {spotify_id("album", each): text for each, text in enumerate([NEAR, *DATES, NEW])}
    assert {dates[each] for each in copy.listed("followed")} == {NEAR, "9999-12-31"}
