"""Feeds: valid in their formats, with stable identities, and harmless whatever a name holds."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as Xml

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from server.catalog.query import FEEDS
from server.serving.feeds import FORMATS, Channel, Release
from server.serving.feeds.csv_table import COLUMNS, MARK
from tests.support.catalog_server import START, SetCatalogueStage, Stage
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id
from tests.support.feed_formats import ATOM, CHANNEL, HOSTILE, faults_of, rows
from tests.support.releases import release

PATHS = [each.path for each in FEEDS]


def written(ending: str, *releases: Release) -> bytes:
    return FORMATS[f"/feeds/albums.{ending}"].write(CHANNEL, releases)


def events_of(ics: bytes) -> list[Any]:
    """What a calendar holds; of which type a property is, only its name tells."""
    return list(Calendar.from_ical(ics).walk("VEVENT"))


def lines(text: str) -> str:
    """Text with the one kind of line end that calendars know."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.gen_test
async def test_every_feed_is_served_with_its_type_and_as_conditional_as_the_api(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    for path in PATHS:
        form = FORMATS[path]
        answer = await stage.client.fetch(path)
        assert (answer.code, answer.headers["Content-Type"]) == (200, form.content_type)
        assert answer.headers["X-Last-Sync"] == "2026-11-01T12:00:00Z"
        disposition = 'attachment; filename="freshet-albums.csv"' if "csv" in path else None
        assert answer.headers.get("Content-Disposition") == disposition
        etag = answer.headers["ETag"]
        unmodified = await stage.client.fetch(path, If_None_Match=etag)
        assert (unmodified.code, unmodified.headers.get("Content-Disposition")) == (304, None)
        packed = await stage.client.fetch(path, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert (await stage.client.fetch(f"{path}?limit=0")).code == 400
        assert (await stage.client.fetch(f"{path}/")).code == 404
        await stage.take(albums(3), START)
        assert (await stage.client.fetch(path)).headers["ETag"] == etag, "nothing has changed"


@pytest.mark.gen_test
async def test_a_feed_takes_every_filter_and_names_its_own_address(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    await stage.take([album(1, album_type="single"), album(2), album(3)], START)
    feed = await stage.get("/feeds/albums.json?type=album&sort=name&limit=1")
    root = stage.freshet.settings.public_url
    assert feed["feed_url"] == f"{root}/feeds/albums.json?limit=1&type=album&sort=name"
    assert feed["next_url"].startswith(f"{root}/feeds/albums.json?limit=1&cursor=")
    assert feed["next_url"].endswith("&type=album&sort=name")
    assert [item["title"] for item in feed["items"]] == ["Artist 2 – Album 2"]
    answer = await stage.client.fetch("/feeds/albums.atom?type=single")
    titles = [each.text for each in Xml.fromstring(answer.body).iter(f"{ATOM}title")]
    assert titles == ["New releases on Spotify", "Artist 1 – Album 1"]


@pytest.mark.gen_test
async def test_a_feed_of_one_artist_has_its_name_and_leads_to_its_page(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    items = [album(n, artists=[artist(n, name=f"{n} <&> {n}")]) for n in range(3)]
    await stage.take(items, START)
    one = artist(1)["id"]
    root = stage.freshet.settings.public_url
    feed = await stage.get(f"/feeds/albums.json?artist={one}")
    assert feed["title"] == "1 <&> 1 – New releases on Spotify"
    assert feed["home_page_url"] == f"{root}/artists/{one}/"
    assert feed["feed_url"] == f"{root}/feeds/albums.json?artist={one}"
    assert [item["title"] for item in feed["items"]] == ["1 <&> 1 – Album 1"]
    answer = await stage.client.fetch(f"/feeds/albums.atom?artist={one}")
    titles = [each.text for each in Xml.fromstring(answer.body).iter(f"{ATOM}title")]
    assert titles == [feed["title"], "1 <&> 1 – Album 1"]
    for several in (f"{one},{artist(2)['id']}", artist(7)["id"]):
        feed = await stage.get(f"/feeds/albums.json?artist={several}")
        assert (feed["title"], feed["home_page_url"]) == ("New releases on Spotify", f"{root}/")


async def numbers(stage: Stage, path: str) -> list[int]:
    """The releases of a feed in its order."""
    body = (await stage.client.fetch(path)).body.decode()
    once = {"atom": "<id>spotify:album:album", "json": '"id":"spotify:album:album',
            "ics": "UID:album", "csv": "\nalbum"}[path[14:].partition("?")[0]]  # fmt: skip
    return [int(each) for each in re.findall(rf"{once}(\d+)", body)]


@pytest.mark.gen_test
async def test_what_was_seen_last_comes_first_in_every_feed_however_old_it_is(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    newest = [album(n, release_date="2026-11-01") for n in range(60)]
    await stage.take(newest, START)
    await stage.take([album(70, release_date="1999-12-31"), *newest], START + timedelta(hours=1))
    for path in PATHS:
        listed = await numbers(stage, path)
        assert listed == [70, *range(49)], path
        assert await numbers(stage, f"{path}?release_limit=3") == [70, 0, 1], path
        assert len(await numbers(stage, f"{path}?limit=200")) == 61, path
        assert 70 not in await numbers(stage, f"{path}?sort=-released"), path


@pytest.mark.gen_test
async def test_no_reader_of_a_feed_misses_a_release_that_was_upcoming_when_it_was_seen(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage: Stage = await set_catalogue_stage()
    clock.moment, number = START, 0
    listed: list[Any] = []
    met: dict[str, set[int]] = {"": set(), "?upcoming=include": set()}
    for day in range(1, 9):
        today, tomorrow = f"2026-11-{day:02}", f"2026-11-{day + 1:02}"
        dates = ["1970", "2026-10", None, today, tomorrow, "2026-11-05", "2026-12"] * 3
        new = [album(number + n, release_date=each) for n, each in enumerate(dates)]
        listed, number = new + listed, number + len(new)
        await stage.take(listed, clock.moment)
        for query, known in met.items():
            met[query] = known | set(await numbers(stage, f"/feeds/albums.json{query}"))
        clock.forward(days=1)
    upcoming = {n for n, each in enumerate(dates * 8) if each == "2026-12"}
    last_day = {number - len(dates) + n for n, each in enumerate(dates) if each == tomorrow}
    assert met["?upcoming=include"] == set(range(number))
    assert met[""] == set(range(number)) - upcoming - last_day


@pytest.mark.gen_test
async def test_a_feed_before_the_first_sync_is_503(set_catalogue_stage: SetCatalogueStage) -> None:
    stage: Stage = await set_catalogue_stage()
    for path in PATHS:
        assert (await stage.client.fetch(path)).code == 503


def test_an_atom_feed_has_all_that_rfc_4287_requires() -> None:
    feed = Xml.fromstring(written("atom", release(), release(artists=[], images=[])))
    for parent in (feed, *feed.iter(f"{ATOM}entry")):
        assert len(parent.findall(f"{ATOM}id")) == 1
        assert len(parent.findall(f"{ATOM}title")) == 1
        updated = parent.findtext(f"{ATOM}updated")
        assert updated is not None
        assert datetime.fromisoformat(updated).tzinfo == UTC
    links = {each.get("rel"): each.get("href") for each in feed.findall(f"{ATOM}link")}
    assert links == {"self": CHANNEL.url, "alternate": CHANNEL.home}
    assert feed.find(f"{ATOM}author") is not None, "for entries that have none"
    entry = feed.find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}id") == "spotify:album:x"
    assert entry.findtext(f"{ATOM}updated") == "2026-11-21T05:00:12Z"


VARIANTS: dict[str, dict[str, Any]] = {
    "whole": {},
    "of nobody": {"artists": []},
    "bare": {
        "images": [],
        "external_urls": {},
        "album_type": None,
        "total_tracks": None,
        "release_date": None,
        "released_on": None,
    },
    "by many": {"artists": [{"name": f"N{n}", "spotify_id": artist(n)["id"]} for n in range(3)]},
}


@pytest.mark.parametrize("fields", VARIANTS.values(), ids=VARIANTS.keys())
def test_an_atom_feed_is_valid_by_the_schema_of_rfc_4287(fields: dict[str, Any]) -> None:
    assert faults_of(written("atom", release(**fields))) == []
    assert faults_of(written("atom", *(release(each, **fields) for each in HOSTILE))) == []


def test_an_empty_atom_feed_is_valid_too_and_so_is_a_page_of_one() -> None:
    assert faults_of(written("atom")) == []
    never = Channel(CHANNEL.url, CHANNEL.home, None, following=f"{CHANNEL.url}?offset=1&limit=1")
    assert faults_of(FORMATS["/feeds/albums.atom"].write(never, [release()])) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("<id>https://f.example/feeds/x</id>", ""),
        ("</title>", "</title><title>Another</title>"),
        ("2026-11-21T05:00:12Z", "yesterday"),
        ("</entry>", "<price>1</price></entry>"),
        ('href="https://open.spotify.com/album/x"', ""),
        ('type="image/jpeg"', 'type="jpeg"'),
        ("<name>Album</name>", ""),
        ('rel="alternate" type="text/html" href="https://open', 'rel="related" href="https://open'),
        ("<author>", '<author xmlns="urn:x">'),
    ],
)
def test_the_schema_refuses_what_is_wrong(right: str, wrong: str) -> None:
    """Or the tests above could not fail."""
    feed = written("atom", release()).decode()
    assert right in feed
    assert faults_of(feed.replace(right, wrong).encode())


@pytest.mark.gen_test
async def test_atom_feeds_are_valid_as_they_are_served(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()
    odd = [album(n, name=name or "x", artists=[artist(n, name=name or "x")]) for n, name in
           enumerate(HOSTILE)]  # fmt: skip
    bare = album(50, images=[], external_urls={}, release_date="2026", album_type="odd")
    await stage.take([*odd, bare, *albums(5, 60)], START)
    for query in ("", "?limit=2&offset=1", "?q=script", "?q=nothing", "?at=2026-11-01&sort=name"):
        body = (await stage.client.fetch(f"/feeds/albums.atom{query}")).body
        assert faults_of(body) == [], query
        assert (b"<entry>" in body) == (query != "?q=nothing"), query


@pytest.mark.gen_test
async def test_only_significant_changes_move_the_times_of_feeds(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage: Stage = await set_catalogue_stage()

    async def times() -> list[str]:
        feed = Xml.fromstring((await stage.client.fetch("/feeds/albums.atom")).body)
        atom = [each.text or "" for each in feed.iter(f"{ATOM}updated")]
        (item,) = (await stage.get("/feeds/albums.json"))["items"]
        body = (await stage.client.fetch("/feeds/albums.ics")).body
        stamps = re.findall("(?:DTSTAMP|LAST-MODIFIED):(.+)\r\n", body.decode())
        assert len(atom) == len(stamps) == 2
        return [re.sub("[-:]", "", each) for each in (*atom, item["date_modified"], *stamps)]

    async def etags() -> list[str]:
        return [(await stage.client.fetch(path)).headers["ETag"] for path in PATHS]

    await stage.take([album(1)], START)
    assert set(await times()) == {"20261101T120000Z"}
    before = await etags()
    await stage.take([album(1, available_markets=["DE"])], START + timedelta(hours=1))
    assert (await stage.get("/api/albums/"))["items"][0]["updated_at"] == "2026-11-01T13:00:00Z"
    assert set(await times()) == {"20261101T120000Z"}
    assert await etags() == before, "there is nothing new to fetch"
    await stage.take([album(1, name="Renamed")], START + timedelta(hours=2))
    assert set(await times()) == {"20261101T140000Z"}
    assert not set(await etags()) & set(before)


def test_an_empty_feed_was_updated_with_the_data() -> None:
    assert b"<updated>2026-11-01T12:00:00Z</updated>" in written("atom")


def test_a_json_feed_keeps_the_rules_of_version_1_1() -> None:
    feed = orjson.loads(written("json", release(), release(images=[], external_urls={})))
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["title"]
    for item in feed["items"]:
        assert isinstance(item["id"], str)
        assert item["content_text"]
        assert None not in item.values()
        for name in ("date_published", "date_modified"):
            datetime.fromisoformat(item[name])
    assert "image" not in feed["items"][1]


def test_a_calendar_holds_only_what_has_a_day() -> None:
    undated = release(release_date="2026-11", released_on=None)
    ics = written("ics", release(), undated)
    calendar = Calendar.from_ical(ics)
    (event,) = events_of(ics)
    assert event["DTSTART"].dt == date(2026, 11, 20)
    assert "DTEND" not in event, "an event that begins on a date lasts that day"
    assert event.duration == timedelta(days=1)
    assert event["DTSTART"].params["VALUE"] == "DATE"
    assert event["UID"] == f"{spotify_id('album', 1)}@album.spotify.com"
    assert event["SUMMARY"] == "Album – Album"
    assert {"PRODID", "VERSION"} <= set(calendar)
    assert not calendar.errors


def test_an_event_tells_when_it_was_seen_and_where_to_hear_it() -> None:
    (event,) = events_of(written("ics", release()))
    assert event["CREATED"].dt == datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
    assert event["DTSTAMP"].dt == event["LAST-MODIFIED"].dt
    assert event["DTSTAMP"].dt == datetime(2026, 11, 21, 5, 0, 12, tzinfo=UTC)
    assert event["URL"] == "https://open.spotify.com/album/x"
    assert event["CATEGORIES"].cats == ["album"]
    assert event["DESCRIPTION"] == "Album, 3 tracks, 2026-11-20"
    bare = written("ics", release(external_urls={}, album_type=None))
    assert b"URL" not in bare
    assert b"CATEGORIES" not in bare


def test_an_address_that_holds_a_line_end_begins_no_line_of_its_own() -> None:
    crooked = release(external_urls={"spotify": "https://x.example/\r\nATTACH:y"})
    (event,) = events_of(written("ics", crooked))
    assert event["URL"] == "https://x.example/ATTACH:y"
    assert "ATTACH" not in event


def test_an_entry_of_atom_keeps_what_has_a_meaning_in_xml() -> None:
    address = """https://x.example/?a="1"&b='2'<3>"""
    odd = release("<&>", album_type='"', external_urls={"spotify": address})
    entry = Xml.fromstring(written("atom", odd)).find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}title") == "<&> – <&>"
    assert next(each.get("href") for each in entry.findall(f"{ATOM}link")) == address
    category = entry.find(f"{ATOM}category")
    assert category is not None
    assert category.get("term") == '"'


def test_a_calendars_lines_are_folded_and_end_as_they_must() -> None:
    body = written("ics", release("ü" * 300))
    assert all(len(line) <= 75 for line in body.split(b"\r\n"))
    assert b"\n" not in body.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_breaks_no_format_and_computes_nothing(name: str) -> None:
    one = release(name)
    assert [each.text for each in Xml.fromstring(written("atom", one)).iter(f"{ATOM}name")][1:]
    (event,) = events_of(written("ics", one))
    assert event["SUMMARY"] == lines(one.title)
    assert orjson.loads(written("json", one))["items"][0]["authors"][0]["name"] == one.by
    (row,) = rows(written("csv", one))
    assert list(row) == list(COLUMNS)
    assert row["name"].replace(MARK, "") == one.name


@settings(max_examples=150)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=4))
def test_no_name_at_all_breaks_a_format(names: list[str]) -> None:
    releases = [
        release("".join(c for c in name if not "\ud800" <= c <= "\udfff")) for name in names
    ]
    assert len(list(Xml.fromstring(written("atom", *releases)).iter(f"{ATOM}entry"))) == len(names)
    assert faults_of(written("atom", *releases)) == []
    events = events_of(written("ics", *releases))
    assert [event["SUMMARY"] for event in events] == [lines(each.title) for each in releases]
    assert all(len(line) <= 75 for line in written("ics", *releases).split(b"\r\n"))
    assert len(orjson.loads(written("json", *releases))["items"]) == len(names)
    assert [row["name"].replace(MARK, "") for row in rows(written("csv", *releases))] == [
        each.name.replace(MARK, "") for each in releases
    ]


def test_a_release_by_many_names_them_all_in_order() -> None:
    many = [{"name": f"N{n}", "spotify_id": artist(n)["id"]} for n in range(3)]
    assert release(artists=many).title == "N0, N1, N2 – Album"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("ep", "EP"), ("single", "Single"), ("audiobook", "Audiobook"), (None, "Release")],
)
def test_kinds_of_releases_are_written_as_people_write_them(kind: str | None, words: str) -> None:
    assert release(album_type=kind).about == f"{words}, 3 tracks, 2026-11-20"
