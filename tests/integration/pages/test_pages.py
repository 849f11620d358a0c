"""The start page, the status and artists as pages: what they say in each state."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from html import unescape
from itertools import product
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from sqlalchemy import event

from handlers.pages.presenters import bar_chart, release_grid
from handlers.pages.presenters.cards import Picture
from handlers.pages.presenters.formatting import (
    coming_words,
    counted,
    date_words,
    duration,
    machine_date,
)
from handlers.pages.presenters.grid_links import ReleaseGridQuery
from server.catalog.query import FEEDS, AlbumsQuery
from server.errors import InvalidParameters
from server.request_errors import UriTooLong
from server.spotify.limits.cooldown import Cooldown
from server.standin import Answer
from server.storage import sync_runs
from server.storage.sync_runs import Day
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id
from tests.support.login_browser import Browser, SetStage, Stage, read_page
from tests.support.outline import Outline
from tests.support.rate_limiters import STORE
from tests.support.standins import StartStandIn
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOW.date()
RELEASES = "/browse/new-releases"
AS_BROWSERS = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
FILTERS = [
    "",
    "?type=single",
    "?q=ALBUM+1",
    "?market=DE",
    "?at=2026-11-20",
    "?sort=-name&limit=3",
    "?limit=2&offset=3",
    "?exclude=versions,various_artists",
    "?released_after=2026-11&released_before=2026",
    "?kind=ep,album",
    f"?artist={spotify_id('artist', 1)},{spotify_id('artist', 2)}",
    "?days=1&tz=Pacific/Kiritimati&upcoming=include",
    "?at=2026-11-20&tz=America/New_York",
]


def mixed() -> list[dict[str, Any]]:
    """Releases of several kinds, in several markets."""
    kinds = ("album", "single", "compilation")
    return [
        album(n, album_type=kinds[n % 3], available_markets=["DE"] if n % 2 else ["US"])
        for n in range(8)
    ]


@pytest.fixture
def synced(set_stage: SetStage, start_standin: StartStandIn, clock: Clock) -> Callable[..., Any]:
    """A server that has synced these releases once, and a browser at it."""

    async def make(items: list[Any] | None = None, **settings: Any) -> tuple[Stage, Browser]:
        standin = start_standin(mixed() if items is None else items, clock=clock)
        stage = await set_stage(standin, **{"sync_source": "new-releases", **settings})
        await stage.freshet.syncer.sync()
        return stage, stage.browser()

    return make


def hung(page: str) -> list[str]:
    """The ids of the releases on a page, in order."""
    ids = [each["id"] for tag, each in Outline(page).seen if tag == "li" and "id" in each]
    return [str(each).removeprefix("r-") for each in ids]


@pytest.mark.gen_test
async def test_the_wall_understands_what_the_api_understands(synced: Any) -> None:
    _, browser = await synced()
    for query in FILTERS:
        page = read_page(await browser.get(f"/{query}"))
        answer = orjson.loads((await browser.get(f"/api/albums/{query}")).body)
        assert hung(page) == [each["spotify_id"] for each in answer["items"]], query
    assert "No releases match" in read_page(await browser.get("/?q=nothing"))
    one = spotify_id("artist", 1)
    assert "</span>of Artist 1 <" in read_page(await browser.get(f"/?artist={one}"))
    assert "</span>of 2 artists <" in read_page(await browser.get(f"/?artist={one},{one[1:]}x"))


def fields(page: str) -> list[str | None]:
    """The names of the fields of a page that people see."""
    return [each["name"] for tag, each in Outline(page).seen if tag == "input" and "id" in each]


@pytest.mark.parametrize(
    ("markets", "offered"), [(["DE"], True), ([], False), (None, False)], ids=str
)
@pytest.mark.gen_test
async def test_a_market_can_be_chosen_where_those_of_any_release_are_known(
    synced: Any, markets: Any, offered: bool
) -> None:
    _, browser = await synced([*albums(3), album(9, available_markets=markets)])
    for query in ("", "?q=nothing", "?at=2026-11-20"):
        page = read_page(await browser.get(f"/{query}"))
        assert ("market" in fields(page)) == offered, query
    chosen = read_page(await browser.get("/?market=de"))
    assert "market" in fields(chosen)
    assert "</span>in DE <span" in chosen


@pytest.mark.gen_test
async def test_a_search_is_shown_as_it_was_written_and_its_links_are_canonical(synced: Any) -> None:
    _, browser = await synced()
    for written, shown in (
        ("  ÁLBUM   1 ", "ÁLBUM 1"),
        ("Ålbum\t1", "Ålbum 1"),
        ("album\x1f1", "album 1"),
    ):
        page = read_page(await browser.get(f"/?q={quote(written)}&limit=1"))
        outline = Outline(page)
        (field,) = [each for tag, each in outline.seen if tag == "input" and each["name"] == "q"]
        assert field["value"] == shown
        assert f"<title>“{shown}” · Freshet</title>" in page
        assert f"</span>“{shown}” <span" in page
        links = [each for each in outline.all("a", "href") if "q=" in str(each)]
        links += [each for each in outline.all("link", "href") if "q=" in str(each)]
        assert len(links) > 5
        assert all("q=album+1" in str(each) for each in links)


@pytest.mark.gen_test
async def test_what_was_written_into_the_search_is_text_and_no_markup(synced: Any) -> None:
    _, browser = await synced()
    written = "\"><b>&amp;</title><script>alert('x')</script>"
    page = read_page(await browser.get(f"/?q={quote(written)}"))
    (field,) = [each for tag, each in Outline(page).seen if tag == "input" and each["name"] == "q"]
    assert field["value"] == written
    assert "<script>" not in page.lower()
    assert "<b>" not in page
    assert page.count("</title>") == 1


@pytest.mark.gen_test
async def test_a_search_for_nothing_has_no_place_in_the_title(synced: Any) -> None:
    _, browser = await synced()
    for blank in ("", "%20%20", "%CC%81"):
        page = read_page(await browser.get(f"/?q={blank}"))
        assert "<title>Freshet</title>" in page, blank
        assert "Filters in use" not in page, blank


def asked_by(query_string: str) -> ReleaseGridQuery:
    query, _ = release_grid.read(query_string, NOW)
    return query


def test_an_empty_form_is_the_wall_itself_and_a_repeated_name_a_list() -> None:
    assert asked_by("q=&market=&at=&sort=").href == "/"
    assert asked_by("type=single&type=album&exclude=versions").href == (
        "/?type=album,single&exclude=versions"
    )
    for repeated in ("q=a&q=b", "at=2026-11-20&at=2026-11-21"):
        with pytest.raises(InvalidParameters):
            release_grid.read(repeated, NOW)
    with pytest.raises(UriTooLong):
        release_grid.read("q=" + "a" * 5000, NOW)


def test_every_link_of_the_wall_is_an_address_in_normal_form() -> None:
    asked, written = release_grid.read(
        "q=A&type=album,ep&kind=album,ep&market=de&at=2026-11-18&exclude=versions&sort=name&limit=5&offset=10"
        "&released_after=2026&released_before=2026-11&upcoming=only"
        "&days=7&tz=Asia/Tokyo",
        NOW,
    )
    assert (asked.q, written) == ("a", "A")
    shown = release_grid.empty(asked, TODAY, written)
    links = [*shown.kinds, shown.upcoming, *shown.active_filters, *shown.days]
    assert len(links) == 6 + 11 + 3
    for link in links:
        assert asked_by(link.href.partition("?")[2]).href == link.href
        assert "offset" not in link.href, "another selection starts at its first page"
    assert [link.text for link in shown.days] == ["‹ 17 Nov 2026", "19 Nov 2026 ›", "Now"]
    hidden = dict(shown.hidden_fields)
    assert hidden.keys() == {"type", "kind", "limit", "released_after", "released_before", "tz"}
    for feed in shown.feeds:
        assert feed.href.startswith("/feeds/albums.")
        assert "limit" not in feed.href
        assert "sort" not in feed.href, "in a feed nothing that is new may come behind"
        assert "upcoming=only" in feed.href
        assert "market=DE" in link.href


@pytest.mark.gen_test
async def test_every_page_leads_readers_to_every_feed_of_its_releases(synced: Any) -> None:
    _, browser = await synced()
    one = spotify_id("artist", 0)
    paths = {"/": "", "/?q=album+1&limit=3": "?q=album+1", "/api/docs/": ""}
    paths[f"/artists/{one}/"] = f"?artist={one}"
    for path, query in paths.items():
        page = (await browser.get(path)).body.decode()
        links = [
            (str(each["href"]), each["type"])
            for tag, each in Outline(page).seen
            if tag == "link" and each["rel"] == "alternate"
        ]
        assert [href for href, _ in links] == [f"{kind.path}{query}" for kind in FEEDS], path
        for href, media_type in links:
            feed = await browser.get(href)
            assert feed.headers["Content-Type"].partition(";")[0] == media_type, (path, href)


def test_the_wall_differs_from_the_api_by_the_size_of_its_pages_alone() -> None:
    ours, theirs = asked_by(""), AlbumsQuery()
    differing = {
        name for name in AlbumsQuery.model_fields if getattr(ours, name) != getattr(theirs, name)
    }
    assert differing == {"limit"}


@pytest.mark.gen_test
async def test_a_wrong_value_is_told_in_words_and_not_repeated(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for query, sentence in {
        "at=2026": "must be a day: YYYY-MM-DD",
        "at=2026-11-21": "must not be after today (2026-11-20 in UTC)",
        "market=Germany": "must be a country code of ISO 3166-1 alpha-2, such as DE",
        "market=UK": "for UK use GB",
        "sort=up": "must be 'released'",
        "limit=0": "must be greater than or equal to 1",
        "type=vinyl": "must be 'album'",
    }.items():
        page = unescape(read_page(await browser.get(f"/?{query}"), 400))
        name, _, value = query.partition("=")
        assert f"<code>{name}</code>" in page, query
        assert sentence in page, query
        assert f">{value}<" not in page, query


@pytest.mark.gen_test
async def test_an_address_that_is_too_long_is_a_page_too(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    assert "too long" in read_page(await browser.get(f"/?q={'a' * 5000}"), 414)


@pytest.mark.gen_test
async def test_names_and_addresses_of_spotifys_are_text_and_nothing_else(synced: Any) -> None:
    evil = "<script>alert(1)</script>\"'"
    images = [{"url": f"https://i.scdn.co/{n}", "height": n, "width": n} for n in (640, 300)]
    foul = [{"url": "javascript:alert(1)", "height": 640, "width": 640}]
    items = [
        album(0, name=evil, artists=[artist(0, name=evil)], images=images),
        album(1, external_urls={"spotify": "javascript:alert(1)"}, images=foul),
    ]
    _, browser = await synced(items)
    for path in ("/", f"/artists/{spotify_id('artist', 0)}/"):
        page = read_page(await browser.get(path))
        assert "<script>" not in page
        assert evil in unescape(page)
        assert "javascript:" not in page
        assert "https://i.scdn.co/640 640w, https://i.scdn.co/300 300w" in page


@pytest.mark.gen_test
async def test_before_the_first_sync_the_page_says_so_and_looks_again(set_stage: SetStage) -> None:
    page = read_page(await (await set_stage()).browser().get("/"))
    assert "No releases yet" in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert "/api/events" in page


@pytest.mark.gen_test
async def test_only_the_top_of_the_newest_is_live(synced: Any) -> None:
    _, browser = await synced()
    live_ones = {"": True, "?q=album": True, "?sort=-seen": True}
    others = dict.fromkeys(["?at=2026-11-20", "?limit=2&offset=2", "?sort=name"], False)
    for query, live in {**live_ones, **others}.items():
        page = read_page(await browser.get(f"/{query}"))
        assert ("data-live" in page) is live, query
        assert ('aria-live="polite"' in page) is live, query


@pytest.mark.gen_test
async def test_an_artist_has_a_page_and_nobody_has_none(synced: Any) -> None:
    _, browser = await synced([album(n, artists=[artist(0)]) for n in range(3)])
    path = f"/artists/{spotify_id('artist', 0)}"
    for each in (path, f"{path}/", "/artists/1/"):
        page = read_page(await browser.get(each))
        assert "<title>Artist 0 · Freshet</title>" in page
        assert f'<link rel="canonical" href="{path}/">' in page, "it has one address of many"
        assert sorted(hung(page)) == [spotify_id("album", n) for n in range(3)]
        assert f"https://open.spotify.com/artist/{spotify_id('artist', 0)}" in page
    missing = read_page(await browser.get(f"/artists/{spotify_id('artist', 7)}/"), 404)
    assert "No artist or release with this id." in missing


@pytest.mark.gen_test
async def test_an_unknown_address_is_a_page_for_who_looks_for_one(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    paths = ("/nowhere", "/artists/", "/auth/none", "/static/none.css", "/apiary")
    for method, path in product(("GET", "POST", "PROPFIND"), paths):
        response = await browser.request(method, path, "", Accept=AS_BROWSERS)
        page = read_page(response, 404)
        assert "Page not found." in page, path
        assert '<a class="button" href="/">Go to the start page</a>' in page, path
        assert response.headers["Vary"] == "Accept", path
        assert path not in page, "what somebody else has made up is not repeated"


@pytest.mark.gen_test
async def test_an_unknown_address_is_a_problem_for_programs(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    accepted = ("", "*/*", "application/json", "text/html, application/json")
    for path in ("/nowhere", "/api/none", "/feeds/none", "/feeds"):
        for each in (*accepted, AS_BROWSERS) if path != "/nowhere" else accepted:
            response = await browser.get(path, Accept=each)
            assert response.code == 404, path
            assert response.headers["Content-Type"] == "application/problem+json", (path, each)
            told = orjson.loads(response.body)
            assert (told["type"], told["title"]) == ("/problems/not-found", "Not Found")
            assert told["detail"] == "Page not found. Please check the address."


@pytest.mark.gen_test
async def test_the_status_costs_a_stranger_no_statement(synced: Any) -> None:
    stage, browser = await synced()
    await stage.freshet.upstream_status.load()
    statements: list[str] = []
    engine = stage.freshet.database.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    page = read_page(await browser.get("/status"))
    assert statements == []
    assert "Spotify’s list of new releases" in page
    assert "8 in total, at most 8 a day" in page
    assert '<code>/browse/new-releases</code> <span class="soft">at most 450</span></th>' in page
    assert "Sync now" not in page


@pytest.mark.gen_test
async def test_without_a_database_the_status_is_told_all_the_same(synced: Any) -> None:
    stage, browser = await synced()
    await browser.log_in()
    database = stage.freshet.database
    url = database.engine.url
    database._replace_engine(url.set(database="nowhere"))
    page = read_page(await browser.get("/status"))
    assert "Last complete sync" in page
    assert "Sync now" not in page, "who is looking is not known"
    database._replace_engine(url)
    assert "Sync now" in read_page(await browser.get("/status"))


@pytest.mark.gen_test
async def test_the_status_tells_pauses_and_failures_in_words(synced: Any, clock: Clock) -> None:
    stage, browser = await synced()
    cooldown = Cooldown(clock(), clock() + timedelta(minutes=10), "429 Too many requests")
    await stage.freshet.database.run(STORE.store_cooldown, RELEASES, cooldown)
    await stage.freshet.syncer.sync()
    await stage.freshet.upstream_status.load()
    page = read_page(await browser.get("/status"))
    assert "until 20 November 2026, 05:10 UTC" in page
    assert "failed, 0 s ago" in page
    assert 'class="failed"' in page


@pytest.mark.gen_test
async def test_who_is_logged_in_syncs_from_the_status(synced: Any) -> None:
    stage, browser = await synced()
    await browser.log_in()
    before = stage.standin.calls_to(f"/v1{RELEASES}")
    response = await browser.post("/status")
    assert (response.code, response.headers["Location"]) == (303, f"{stage.url}/status")
    await until(lambda: not stage.freshet.syncer.is_running)
    assert stage.standin.calls_to(f"/v1{RELEASES}") > before
    assert "Sync started." in read_page(await browser.get("/status"))
    assert "Sync started." not in read_page(await browser.get("/status")), "it is said once"


@pytest.mark.gen_test
async def test_the_status_says_since_when_a_sync_runs(synced: Any) -> None:
    stage, browser = await synced()
    assert "unning" not in read_page(await browser.get("/status"))
    answered = asyncio.Event()
    empty = Answer(200, {"albums": {"items": []}}, held=answered)
    stage.standin.answer_next(f"/v1{RELEASES}", empty)
    sync = asyncio.create_task(stage.freshet.syncer.sync())
    await until(lambda: stage.freshet.syncer.running_since)
    page = read_page(await browser.get("/status"))
    assert '<span data-running="/api/status">Running since 20 November 2026, 05:00 UTC' in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert '<script src="/static/status.js" defer></script>' in page
    answered.set()
    await sync
    page = read_page(await browser.get("/status"))
    assert "unning" not in page
    assert "refresh" not in page
    assert "<script" not in page


@pytest.mark.gen_test
async def test_a_sync_that_cannot_be_is_a_page_with_its_status(synced: Any, clock: Clock) -> None:
    stage, browser = await synced()
    assert "You are not logged in" in read_page(await browser.post("/status"), 403)
    await browser.log_in()
    for origin, site in (("https://evil.example", "cross-site"), (None, "same-site"), (None, None)):
        page = read_page(await browser.post("/status", origin=origin, site=site), 403)
        assert "did not come from this server" in page
    answered = asyncio.Event()
    empty = Answer(200, {"albums": {"items": []}}, held=answered)
    stage.standin.answer_next(f"/v1{RELEASES}", empty)
    assert (await browser.post("/status")).code == 303
    assert "A sync is already running" in read_page(await browser.post("/status"), 409)
    answered.set()
    await until(lambda: not stage.freshet.syncer.is_running)
    cooldown = Cooldown(clock(), clock() + timedelta(seconds=777), "429 Too many requests")
    await stage.freshet.database.run(STORE.store_cooldown, RELEASES, cooldown)
    response = await browser.post("/status")
    assert "A sync can start in 777 seconds." in read_page(response, 429)
    assert response.headers["Retry-After"] == "777"


@pytest.mark.gen_test
async def test_the_diary_counts_each_day_in_utc(synced: Any, clock: Clock) -> None:
    stage, _ = await synced()
    clock.moment = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    stage.standin.misbehave("502", times=None)
    assert (await stage.freshet.syncer.sync()).outcome == "failed"
    days = await stage.freshet.database.run(sync_runs.read_days, clock())
    assert days == (Day(date(2026, 11, 20), 1, 0, 8), Day(date(2026, 11, 21), 1, 1, 0))
    whole = sync_runs.fill_days(days, date(2026, 11, 21))
    assert len(whole) == 30
    assert whole[-2:] == list(days)
    assert whole[0] == Day(date(2026, 10, 23))


def test_the_tallest_bar_fills_the_chart_and_the_least_can_be_seen() -> None:
    drawn = bar_chart.draw([0, 1, 1000], [0, 0, 500])
    assert drawn.most == 1000
    assert [bar.top for bar in drawn.bars] == [bar_chart.HEIGHT, bar_chart.HEIGHT - 1.5, 0]
    assert [bar.part_top for bar in drawn.bars] == [bar_chart.HEIGHT, bar_chart.HEIGHT, 50]
    assert all(bar.x + bar.width <= bar_chart.WIDTH for bar in drawn.bars)
    assert bar_chart.draw([0, 0]).most == 0
    assert bar_chart.draw([]).bars == []


def test_a_picture_is_asked_for_in_a_size_that_looks_well() -> None:
    images: Any = [{"url": f"https://i/{n}", "height": n, "width": n} for n in (640, 300, 64)]
    found = Picture.of(images)
    assert found == ("https://i/300", "https://i/640 640w, https://i/300 300w", 300, 300)
    unknown = Picture.of([{"url": "https://i/x", "height": None, "width": None}])
    assert unknown == ("https://i/x", "", None, None)
    for none in (None, [], [{"url": "https://i/a b", "height": 1, "width": 1}]):
        assert Picture.of(none) is None


@pytest.mark.gen_test
async def test_a_picture_says_what_it_is_of_and_leaves_the_name_to_the_text(synced: Any) -> None:
    items = [
        album(0, name="Blue", album_type="EP"),
        album(1, name="Red", album_type="single", total_tracks=2),
        album(2, name="<Q>", album_type="mixtape"),
    ]
    _, browser = await synced(items)
    page = read_page(await browser.get("/"))
    told = {str(each["alt"]) for tag, each in Outline(page).seen if tag == "img" and each["alt"]}
    assert told == {"Cover of the EP", "Cover of the single", "Cover of the release"}


def test_dates_and_numbers_are_told_as_people_read_them() -> None:
    dates = {"2026-11-20": "20 Nov 2026", "2026-11": "Nov 2026", "2026": "2026", "0000": "0000",
             None: "undated", "0000-00": "0000-00"}  # fmt: skip
    assert {each: date_words(each) for each in dates} == dates
    assert [counted(n, "track") for n in (1, 2, 12345)] == [
        "1 track",
        "2 tracks",
        "12\u202f345 tracks",
    ]
    seconds = {0: "0 s", 59: "59 s", 3600: "1 h", 3725: "1 h 2 min", 90061: "1 d 1 h", -5: "0 s"}
    assert {each: duration(each) for each in seconds} == seconds


@pytest.mark.gen_test
async def test_what_is_to_come_says_so_until_its_day(synced: Any, clock: Clock) -> None:
    items = [
        album(n, artists=[artist(0)], release_date=day, release_date_precision=precision)
        for n, (day, precision) in enumerate(
            [("2026-12-11", "day"), ("2027", "year"), ("2026-11-20", "day"), ("2026-11", "month")]
        )
    ]
    _, browser = await synced(items)
    for path in ("/?upcoming=include", f"/artists/{spotify_id('artist', 0)}/"):
        page = read_page(await browser.get(path))
        assert '<strong>Out on <time datetime="2026-12-11">11 Dec 2026</time></strong>' in page
        assert '<strong>Out in <time datetime="2027">2027</time></strong>' in page
        assert '<p class="about"><time datetime="2026-11-20">20 Nov 2026</time>' in page
        assert '<p class="about"><time datetime="2026-11">Nov 2026</time>' in page
    released = spotify_id("album", 2), spotify_id("album", 3)
    assert hung(read_page(await browser.get("/"))) == list(released)
    clock.moment = datetime(2026, 12, 11, tzinfo=UTC)
    page = read_page(await browser.get("/"))
    assert hung(page) == [spotify_id("album", 0), *released]
    assert "Out on" not in page


@pytest.mark.gen_test
async def test_the_heading_and_the_filters_say_which_releases_these_are(synced: Any) -> None:
    _, browser = await synced([album(0), album(1, release_date="2026-12-11")])
    headings = {
        "": ("Latest", "Freshet"),
        "?sort=-seen": ("Recently added", "Recently added · Freshet"),
        "?sort=name": ("A to Z", "A to Z · Freshet"),
        "?at=2026-11-20": ("Listed on 20 Nov 2026 <span", "Listed on 20 Nov 2026 · Freshet"),
        "?upcoming=include": ("Latest", "Freshet"),
        "?upcoming=only&sort=released": ("Upcoming", "Upcoming · Freshet"),
        "?q=album": ("Latest", "“album” · Freshet"),
    }
    for query, (heading, title) in headings.items():
        page = read_page(await browser.get(f"/{query}"))
        assert f'<h2 id="releases" tabindex="-1">{heading}' in page, query
        assert f"<title>{title}</title>" in page
        assert "<h1>New releases on Spotify</h1>" in page
        assert ("</span>with upcoming <" in page) is ("include" in query)
        assert ("</span>upcoming only <" in page) is ("only" in query)
        upcoming = '<a href="/?upcoming=only&amp;sort=released" aria-current="true">Upcoming</a>'
        assert (upcoming in page) is ("only" in query)
    only = release_grid.empty(asked_by("upcoming=only&sort=released"), TODAY)
    assert only.kinds[0] == ("All", "/", False), "which is not what is shown"
    assert only.kinds[1].href == "/?kind=album&upcoming=only&sort=released"
    (back,) = only.active_filters
    assert back.href == "/"
    assert asked_by("upcoming=&sort=").href == "/", "as the form sends it"
    later = {
        "": "Older releases",
        "&at=2026-11-20": "Older releases, listed on 20 Nov 2026",
        "&upcoming=only&sort=released": "Upcoming: later releases",
        "&sort=-name": "More releases",
        "&sort=-seen&q=x": "Added earlier",
    }
    for query, heading in later.items():
        for start in ("cursor=x", "offset=48"):
            assert release_grid.empty(asked_by(start + query), TODAY).heading == heading
    none = read_page(await browser.get("/?q=zzzz"))
    assert '<span class="soft" id="count">0 releases</span>' in none
    assert "No releases match" in none


@pytest.mark.gen_test
async def test_the_status_words_dates_as_the_wall_does(synced: Any) -> None:
    stage, browser = await synced([album(0, release_date="2025-11-20")], sync_source="auto")
    await stage.freshet.upstream_status.load()
    page = read_page(await browser.get("/status"))
    assert "<dt>Newest release</dt><dd>20 Nov 2025</dd>" in page
    assert "newest release there 20 Nov 2025" in page
    assert "2025-11-20" not in page


def test_only_a_date_that_has_not_begun_is_to_come() -> None:
    coming = {"2026-11-21": "Out on", "2026-12": "Out in", "2027": "Out in"}
    words = coming | dict.fromkeys(["2026-11-20", "2026-11", "2026", "2025-12-31", "0000", None])
    assert {each: coming_words(each, TODAY) for each in words} == words


@pytest.mark.gen_test
async def test_a_wall_of_many_releases_is_turned_page_by_page(synced: Any) -> None:
    items = albums(60)
    items[-1] |= {"release_date": "2026", "release_date_precision": "year"}  # no part of the span
    _, browser = await synced(items)
    page = read_page(await browser.get("/"))
    assert "1–48 of 60 releases" in page
    (onward,) = [
        str(each["href"])
        for tag, each in Outline(page).seen
        if tag == "link" and each.get("rel") == "next"
    ]
    assert f'<a class="button" rel="next" href="{onward}#releases">Older releases</a>' in page
    rest = read_page(await browser.get(onward))
    assert "12 more of 60 releases" in rest
    heading = '<h2 id="releases" tabindex="-1">Older releases <span class="soft">20 Nov 2026</span>'
    assert heading in rest
    assert "<title>Older releases, 20 Nov 2026 · Freshet</title>" in rest
    assert "<h1>Releases on Spotify</h1>" in rest
    assert '<a class="button" href="/#releases">Back to the newest</a>' in rest
    assert not set(hung(page)) & set(hung(rest))
    assert len({*hung(page), *hung(rest)}) == 60
    by_number = read_page(await browser.get("/?offset=48"))
    assert hung(by_number) == hung(rest), "links to a number of releases still lead there"
    assert "That was the last of them" in read_page(await browser.get("/?offset=99"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026", "2026"),
        ("2026-11", "2026-11"),
        ("2026-11-20", "2026-11-20"),
        ("0001", "0001"),
        ("9999-12-31", "9999-12-31"),
        ("0000", None),
        ("0000-05", None),
        ("0000-00-00", None),
        ("2026-13", None),
        ("2026-02-30", None),
        ("202", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_for_machines_is_one_that_html_knows(written: str | None, read: str | None) -> None:
    assert machine_date(written) == read


@pytest.mark.gen_test
async def test_a_date_that_html_does_not_know_is_shown_as_plain_text(synced: Any) -> None:
    dates = [("0000", "year"), ("2026", "year")]
    items = [
        album(n, artists=[artist(0)], release_date=day, release_date_precision=precision)
        for n, (day, precision) in enumerate(dates)
    ]
    _, browser = await synced(items)
    for path in ("/", f"/artists/{spotify_id('artist', 0)}/"):
        page = read_page(await browser.get(path))
        assert '<p class="about">0000 <span>' in page
        assert '<p class="about"><time datetime="2026">2026</time>' in page
        assert page.count("<time") == 1


SINCE = "Recorded since 20 Nov 2026"


@pytest.mark.gen_test
async def test_no_day_is_offered_or_shown_before_freshet_began_to_watch(
    synced: Any, clock: Clock
) -> None:
    stage, browser = await synced()
    first = read_page(await browser.get("/"))
    assert SINCE in first
    assert "?at=" not in first, "there is no yesterday to go to"
    assert 'type="date" min="2026-11-20" max="2026-11-20"' in first
    clock.forward(days=2)
    assert (await stage.freshet.syncer.sync()).outcome == "complete"
    today = read_page(await browser.get("/"))
    assert SINCE not in today
    assert '<a href="/?at=2026-11-21">‹ 21 Nov 2026</a>' in today
    between = read_page(await browser.get("/?at=2026-11-21"))
    assert '<a href="/?at=2026-11-20">‹ 20 Nov 2026</a>' in between
    oldest = read_page(await browser.get("/?at=2026-11-20"))
    assert SINCE in oldest
    assert "?at=2026-11-19" not in oldest
    sentence = "must not be before 2026-11-20 (UTC), the first day that Freshet has recorded"
    for query, day in (("at=2026-11-19", "20"), ("kind=ep&at=2027-01-01", "22")):
        refused_page = read_page(await browser.get(f"/?{query}"), 400)
        instead = f"{query.partition('at=')[0]}at=2026-11-{day}".replace("&", "&amp;")
        assert f'href="/?{instead}">Show {day} Nov 2026</a>' in refused_page
        assert (sentence in refused_page) == (day == "20")
    assert "Show 20 Nov" not in read_page(await browser.get("/?at=2026-11-19&limit=x"), 400)
    status = orjson.loads((await browser.get("/api/status")).body)
    assert status["watched_since"] == "2026-11-20"
    for path in ("/api/albums/", "/api/artists/", *(kind.path for kind in FEEDS)):
        assert (await browser.get(f"{path}?at=2026-11-20")).code == 200, path
        refused = await browser.get(f"{path}?at=2026-11-19")
        assert refused.code == 400, path
        (fault,) = orjson.loads(refused.body)["errors"]
        assert fault == {"parameter": "at", "value": "2026-11-19", "reason": sentence}


@pytest.mark.gen_test
async def test_the_first_day_is_no_later_than_today_after_a_clock_was_put_right(
    synced: Any, clock: Clock
) -> None:
    stage, browser = await synced()
    clock.forward(days=-3)
    status = orjson.loads((await browser.get("/api/status")).body)
    assert status["watched_since"] == "2026-11-17"
    assert (await browser.get("/api/albums/?at=2026-11-17")).code == 200
    await stage.execute("DELETE FROM listings")
    await stage.freshet.cache.refresh()
    assert orjson.loads((await browser.get("/api/status")).body)["watched_since"] is None
    assert (await browser.get("/api/albums/?at=2020-01-01")).code == 200
