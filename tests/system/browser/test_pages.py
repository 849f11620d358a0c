"""The start page, the status and artists in Chromium.

They are tested at three widths, light and dark, live and without scripts, by click and by key, and
with axe-core, which finds barriers to accessibility.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from handlers.pages.base import STATIC
from models import SyncRun
from server.database.engine import make_engine
from server.spotify.limits.cooldown import Cooldown
from server.spotify.limits.quota import hour_of
from tests.support.browser_actions import (
    is_sound,
    log_in,
    novelty,
    old_news,
    press,
    seen_by_everybody,
    tab_to,
    take,
)
from tests.support.browser_fixtures import PATIENCE, Looks, Place
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer
from tests.support.rate_limiters import STORE
from tests.support.server_processes import Server, environment

NOBODYS = "/artists/{id}/related-artists"  # a bucket that is in nobody's way
MOST_BYTES = 60_000  # of our style sheets and scripts together
FEEDS = ["application/atom+xml", "application/feed+json", "text/calendar", "text/csv"]
MISSING = "the server responded with a status of 404"
BAD = "the server responded with a status of 400"
RELEASES = "#cards > li"
MEASURES = """image => {
  const box = image.getBoundingClientRect(), style = getComputedStyle(image);
  const middle = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    shape: box.width / box.height, own: image.naturalWidth / image.naturalHeight,
    fit: style.objectFit,
    bare: middle === image && style.borderRadius === '0px' && style.filter === 'none'
      && style.opacity === '1' && style.clipPath === 'none',
  };
}"""


def stations(page: Page, place: Place, *, whole_wall: bool) -> Iterator[str]:
    """Go to each kind of page in each of its states; its name once it is there."""
    for name, path in (
        ("releases", "" if whole_wall else "?limit=24"),
        (
            "releases-filtered",
            "?limit=12&q=a&market=DE&exclude=versions&type=album,single&days=90&tz=America/New_York",
        ),
        ("releases-older", "?limit=12&sort=-seen"),
        ("releases-nothing", "?q=nothing+like+it"),
        ("releases-long-ago", "?at=2020-01-01"),
        ("releases-wrong", "?at=2020&sort=up"),
        ("status", "status"),
        ("artist", artist_path(place)),
        ("artist-missing", f"artists/{'x' * 22}/"),
        ("problem", "problems/rate-limited"),
        ("nowhere", "no/such/page"),
    ):
        page.goto(place.url + path)
        if name == "releases-older":
            page.get_by_role("link", name="Added earlier").click()
            expect(page.get_by_role("link", name="Back to the newest")).to_be_visible()
        yield name


def artist_path(place: Place) -> str:
    """The address of an artist with a picture and genres, if there is any, under the root."""
    found = re.findall(rb'href="/(artists/\w{22}/)"', place.server.get("/")[2])
    return str(found[0].decode())


def remember(place: Place) -> None:
    """A month of syncs, some of which failed; the last is complete."""
    if syncs_told(place) > 50:
        return
    now = datetime.now(UTC)
    nothing = {"calls": 10, "updated": 0, "gone": 0, "skipped": 0, "changed": False}
    rows = []
    for back in range(29, -1, -1):
        for turn in range(2 + back % 3):
            failed = back % 7 == 3 and not turn
            at = now - timedelta(days=back, minutes=9 - turn if back else 0)
            rows.append(
                {
                    "source": None if failed else "search",
                    "why": None if failed else "new-releases is refused: 403 Forbidden",
                    "outcome": "failed" if failed else "complete",
                    "started_at": at,
                    "finished_at": at,
                    "seen": 96,
                    "added": 0 if failed else (back * 7) % 23 + 1,
                    "error": None,
                    **nothing,
                }
            )
    reason = "429 Too Many Requests: API rate limit exceeded"
    with Session(place.engine) as session, session.begin():
        session.execute(insert(SyncRun), rows)
        STORE.count(session, {(NOBODYS, hour_of(now)): 12_345})
        STORE.store_cooldown(session, NOBODYS, Cooldown(now, now + timedelta(hours=40), reason))
    deadline = time.monotonic() + PATIENCE / 1000
    while syncs_told(place) <= 50 or NOBODYS.encode() not in place.server.get("/status")[2]:
        assert time.monotonic() < deadline, "the server did not hear of the syncs"
        time.sleep(0.1)


def syncs_told(place: Place) -> int:
    """How many syncs of the last thirty days the status tells of."""
    found = re.search(rb"Syncs per day: (\d+) in thirty days", place.server.get("/status")[2])
    return int(found[1]) if found else 0


def test_every_page_is_for_everybody_at_every_width(
    looks: Looks,
    page: Page,
    place: Place,
    expected: list[str],
    photograph: Callable[[Page, str], None],
    long: bool,
) -> None:
    expected += [MISSING, BAD]
    remember(place)
    page.emulate_media(reduced_motion="reduce")
    for number, station in enumerate(stations(page, place, whole_wall=long)):
        assert page.locator("h1").count() == 1, station
        for landmark in ("banner", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        feeds = page.locator('link[rel="alternate"]').evaluate_all(
            "all => all.map(each => each.type)"
        )
        assert feeds == FEEDS, station
        for look in seen_by_everybody(page, station, number, looks, long):
            photograph(page, look)


def test_covers_are_spotifys_own_whole_and_lead_there(page: Page, place: Place) -> None:
    page.goto(f"{place.url}?limit=30")
    images = page.locator(f"{RELEASES} img")
    assert images.count() >= 20
    for image in images.all()[:8]:
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", value=True)
        told = image.evaluate(MEASURES)
        assert told["bare"], told
        assert told["fit"] == "contain" or abs(told["shape"] - told["own"]) < 0.01
        assert re.match(r"http://127\.0\.0\.1:\d+/image/", image.get_attribute("src") or "")
        assert not (image.get_attribute("src") or "").startswith(place.url)
        assert image.get_attribute("alt")
    for release in page.locator(RELEASES).all()[:8]:
        link = release.locator("a.release")
        assert re.search(r"/open/album/\w{22}$", link.get_attribute("href") or "")
        expect(link).to_contain_text("On Spotify")


def texts(page: Page, part: str) -> list[str]:
    """The texts of a part of each release, once the page is there that a click has led to."""
    page.wait_for_load_state()
    return page.locator(f"{RELEASES} .{part}").all_inner_texts()


def addresses(page: Page) -> list[str | None]:
    """The addresses that releases lead to, as some have the same name; see `texts`."""
    page.wait_for_load_state()
    links = page.locator(f"{RELEASES} a.release").all()
    return [each.get_attribute("href") for each in links]


def test_without_scripts_the_wall_is_searched_narrowed_and_turned(
    new_context: Callable[..., BrowserContext], place: Place
) -> None:
    page = new_context(java_script_enabled=False).new_page()
    few = f"{place.url}?limit=5"
    page.goto(few)
    first = page.locator(f"{RELEASES} .name").first.inner_text()
    page.get_by_label("Artist or release").fill(first)
    press(page, "Search")
    expect(page.locator(f"{RELEASES} .name").first).to_have_text(first)
    expect(page.locator("#count")).to_have_text(re.compile("^[1-9] releases?$"))
    page.get_by_role("link", name="Remove: “").click()
    assert page.url == few
    page.get_by_role("navigation", name="Kinds").get_by_role("link", name="Singles").click()
    assert page.url == f"{few}&kind=single"
    about = texts(page, "about")
    assert about
    assert all("Single" in each for each in about)
    page.get_by_text("More filters").click()
    page.get_by_label("Order").select_option("A to Z")
    page.get_by_label("Released", exact=True).select_option("Last 30 days")
    page.get_by_label("Other versions").check()
    page.get_by_label("Various Artists").check()
    press(page, "Search")
    expect(page.get_by_role("list", name="Filters in use").get_by_role("listitem")).to_have_count(3)
    assert "&days=30" in page.url
    assert all("Single" in each for each in texts(page, "about"))
    page.goto(few)
    shown = addresses(page)
    page.get_by_role("link", name="Older releases").click()
    older = addresses(page)
    page.get_by_role("link", name="Older releases").click()
    oldest = addresses(page)
    assert len(shown) == len(older) == len(oldest) == 5
    assert len({*shown, *older, *oldest}) == 15
    page.get_by_role("link", name="Back to the newest").click()
    assert addresses(page) == shown
    page.get_by_role("link", name="Upcoming", exact=True).click()
    assert page.url == f"{few}&upcoming=only&sort=released"
    expect(page.get_by_role("heading", name="Upcoming")).to_be_visible()
    page.get_by_role("link", name="Remove: upcoming only").click()
    assert page.url == few
    days = page.get_by_role("navigation", name="Past days")
    expect(days).to_contain_text("Recorded since")
    expect(days.get_by_role("link")).to_have_count(0)
    page.goto(f"{few}&at={datetime.now(UTC).date()}")
    page.get_by_role("link", name="Now", exact=True).click()
    assert "at=" not in page.url


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_what_is_new_waits_behind_a_button_and_then_comes_in(
    page: Page, place: Place, motion: Literal["reduce", "no-preference"]
) -> None:
    page.emulate_media(reduced_motion=motion)
    with page.expect_response(re.compile("/api/events")):
        page.goto(f"{place.url}?limit=5")
    first = page.locator(RELEASES).first.get_attribute("id")
    number = page.get_by_text("Novelty").count() + 1
    take(place, novelty(number))
    news = page.locator("#news")
    expect(news.get_by_role("button")).to_have_text("Show 1 new release")
    expect(news).to_have_attribute("aria-live", "polite")
    assert page.locator(RELEASES).first.get_attribute("id") == first, "nothing moves by itself"
    news.get_by_role("button").press("Enter")
    new = page.locator(RELEASES).first
    expect(new).to_contain_text(f"Novelty {number}")
    expect(new.locator("a.release")).to_be_focused()
    expect(news).to_have_text("1 new release is shown.")
    assert page.locator(RELEASES).nth(1).get_attribute("id") == first
    name = new.evaluate("each => getComputedStyle(each).animationName")
    assert name == ("none" if motion == "reduce" else "arrive")
    page.reload()
    expect(page.locator(RELEASES).first).to_contain_text(f"Novelty {number}")


HIDE = """hidden => {
  Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_wall_whose_place_in_the_journal_is_out_of_reach_is_loaded_anew(
    page: Page, place: Place
) -> None:
    def reach_from(seq: str) -> None:
        with place.engine.begin() as connection:
            connection.execute(text(f"UPDATE journal_floor SET seq = {seq}"))

    take(place, old_news(800))
    until(lambda: b'"Old News 800"' in place.server.get("/api/albums/?q=old+news+800")[2])
    page.goto(f"{place.url}?q=old+news+80")
    page.evaluate("window.isTheFirst = true")
    take(place, old_news(801))
    expect(page.get_by_role("button", name="Show 1 new release")).to_be_visible()
    page.evaluate(HIDE, True)
    reach_from("(SELECT max(seq) + 1 FROM changes)")
    try:
        take(place, old_news(802), old_news(803))
        until(lambda: first_event(place, after=1) == "reset")
        page.evaluate(HIDE, False)
        expect(page.locator(RELEASES)).to_have_count(4)
        assert not page.evaluate("window.isTheFirst")
    finally:
        reach_from("0")


def first_event(place: Place, after: int) -> str:
    """The name of the first event of a stream that begins after a place."""
    with urlopen(f"{place.url}api/events?after={after}", timeout=30) as stream:
        *_, name = [str(stream.readline(), "utf-8") for _ in range(5)]
    return name.removeprefix("event: ").rstrip()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_keyboard_leads_past_the_head_to_every_release_and_shows_where_it_is(
    page: Page, place: Place
) -> None:
    page.goto(f"{place.url}?limit=5")
    focus = page.locator(":focus")
    page.keyboard.press("Tab")
    expect(focus).to_have_text("Skip to content")
    expect(focus).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(focus).to_have_attribute("id", "q")
    seen = []
    while "release" not in (focus.get_attribute("class") or "").split():
        outline = focus.evaluate("element => getComputedStyle(element).outline")
        assert "solid 3px" in outline, focus.inner_text()
        page.keyboard.press("Tab")
        seen.append(focus.inner_text())
        assert len(seen) < 15, seen
    assert "3px" in focus.evaluate("element => getComputedStyle(element).outline")


def test_the_status_has_a_chart_that_can_be_read_as_a_table_too(page: Page, place: Place) -> None:
    page.goto(f"{place.url}status")
    expect(page.get_by_role("img", name="New releases per day")).to_be_visible()
    expect(page.get_by_role("img", name="Syncs per day")).to_be_visible()
    assert page.locator(".chart").first.locator("g").count() == 30
    page.get_by_text("As a table").click()
    rows = page.get_by_role("table", name="New releases and syncs").get_by_role("row")
    expect(rows).to_have_count(31)
    new = int(rows.nth(1).get_by_role("cell").first.inner_text())
    assert new > 0, "today the first sync has brought all"
    expect(page.get_by_role("button", name="Sync now")).to_have_count(0)


def test_who_is_logged_in_syncs_by_a_button(page: Page, place: Place) -> None:
    log_in(page, place)
    page.goto(f"{place.url}status")
    before = len(place.server.events("sync_finished"))
    tab_to_button(page, "Sync now")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Sync started.")
    assert page.url == f"{place.url}status"
    deadline = time.monotonic() + PATIENCE / 1000
    while len(place.server.events("sync_finished")) == before:
        assert time.monotonic() < deadline, "no sync has ended"
        time.sleep(0.05)
    expect(page.locator("[data-running]")).to_have_count(0)
    expect(page.get_by_text("Sync started.")).to_have_count(0)


def tab_to_button(page: Page, name: str) -> None:
    tab_to(page, "Account")
    tab_to(page, name)


def test_a_sync_cannot_be_begun_from_elsewhere(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str]
) -> None:
    expected.append("the server responded with a status of 403")
    log_in(page, place)
    before = len(place.server.events("sync_finished"))
    form = f'<form method="post" action="{place.url}status"><button>Win</button></form>'
    page.goto(foreign_page(f"{form}<script>document.forms[0].submit()</script>"))
    expect(page.get_by_role("heading")).to_have_text("This request did not come from this server")
    assert len(place.server.events("sync_finished")) == before


def test_an_artist_is_reached_from_the_wall_and_leads_to_spotify(page: Page, place: Place) -> None:
    page.goto(f"{place.url}?limit=10")
    link: Locator = page.locator(".by a").nth(5)
    name = link.inner_text()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.locator(".releases > li").count() >= 1
    target = page.get_by_role("link", name="Listen on Spotify").get_attribute("href")
    assert re.search(r"/(open/)?artist/\w{22}$", target or "")


def test_our_styles_and_scripts_are_small() -> None:
    sizes = {each.name: each.stat().st_size for each in STATIC.iterdir()}
    assert set(sizes) == {
        "freshet.css",
        "freshet.js",
        "freshet.svg",
        "docs.css",
        "docs.js",
        "status.js",
    }
    assert sum(sizes.values()) <= MOST_BYTES


def test_before_the_first_sync_the_page_waits_and_shows_releases_by_itself(
    chromium: Browser,
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path: Path,
) -> None:
    with new_database(migrated) as database_url:
        env = environment(database_url, SYNC_INTERVAL="0")
        server = Server(manage_py, tmp_path / "log", env=env, fork_server=fork_server)
        engine = make_engine(database_url)
        try:
            server.event("server_started")
            there = Place(f"http://127.0.0.1:{server.port}/", server, engine)
            page = chromium.new_page()
            with page.expect_response(re.compile("/api/events")):
                page.goto(there.url)
            expect(page.get_by_text("No releases yet")).to_be_visible()
            is_sound(page, "waiting")
            take(there, novelty(1))
            expect(page.locator(RELEASES)).to_have_count(1)
            page.close()
            assert server.stop() == 0
        finally:
            engine.dispose()
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()
