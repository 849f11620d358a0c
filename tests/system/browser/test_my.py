"""`/my/` in Chromium: with scripts and without, at three widths, and with axe-core."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy.orm import Session

from server.standin.world import Listener
from server.storage import following
from tests.support.browser_actions import (
    log_in,
    novelty,
    press,
    remove,
    seen_by_everybody,
    take,
)
from tests.support.browser_fixtures import PATIENCE, Looks, Place
from tests.support.examples import album, artist, spotify_id

WALL = "#cards > li"


@pytest.fixture(autouse=True)
def removed(place: Place) -> Iterator[None]:
    """Leave the server that all browser tests share as it was."""
    yield
    remove(place)
    deadline = time.monotonic() + PATIENCE / 1000
    while b'"album0' in place.server.get("/api/albums/?release_limit=200&upcoming=include")[2]:
        assert time.monotonic() < deadline, "the server still lists the releases of the test"
        time.sleep(0.1)


def watch(place: Place, artist_id: str) -> None:
    """Store that the account watches an artist, as another server on the database would."""
    now = datetime.now(UTC)
    with Session(place.engine) as session, session.begin():
        following.choose(session, Listener.account_id, {artist_id: None}, "watched", now, "another")


def coming(number: int, name: str) -> dict[str, object]:
    day = datetime.now(UTC).date() + timedelta(days=number)
    who = [artist(900, name=name)]
    return album(900 + number, artists=who, name=f"Not Yet {number}", release_date=str(day))


def stations(page: Page, place: Place) -> Iterator[str]:
    """Go through the states of the page; the name of each once it is there."""
    page.goto(f"{place.url}my/")
    expect(page.get_by_role("heading", name="You are not logged in")).to_be_visible()
    yield "my-stranger"
    log_in(page, place)
    page.goto(f"{place.url}my/?limit=12")
    wait_for(page, "Your list on Spotify was read")  # the list of the stand-in's account
    yield "my-followed"
    take(place, *(coming(number, "Herald of Tomorrow") for number in range(1, 9)))
    watch(place, spotify_id("artist", 900))
    wait_for(page, "Not Yet 1")
    yield "my-artists"
    page.goto(f"{place.url}my/?limit=4")
    page.get_by_role("link", name="Older releases").click()
    yield "my-older"
    page.goto(f"{place.url}my/?limit=12&q=a&kind=album,single&exclude=versions")
    yield "my-filtered"
    page.goto(f"{place.url}?limit=12")
    expect(page.get_by_role("button", name=re.compile("^(Ignore|Watch)")).first).to_be_visible()
    yield "releases-of-owner"
    page.goto(f"{place.url}artists/{spotify_id('artist', 900)}/")
    yield "artist-of-owner"


def wait_for(page: Page, text: str) -> None:
    """Load the page until it has this text: notices of the database take a moment."""
    deadline = time.monotonic() + PATIENCE / 1000
    while page.reload() and not page.get_by_text(text).count():
        assert time.monotonic() < deadline, text


def test_the_page_is_for_everybody_at_every_width(
    looks: Looks,
    page: Page,
    place: Place,
    expected: list[str],
    photograph: Callable[[Page, str], None],
    long: bool,
) -> None:
    expected += ["the server responded with a status of 401", "status of 404", "ERR_"]
    for number, station in enumerate(stations(page, place)):
        assert page.locator("h1").count() == 1, station
        for look in seen_by_everybody(page, station, number, looks, long):
            photograph(page, look)


def test_without_scripts_artists_are_watched_and_ignored(
    new_context: Callable[..., BrowserContext], place: Place, expected: list[str]
) -> None:
    expected += ["ERR_", "status of 404"]
    take(place, novelty(970))
    page = new_context(java_script_enabled=False).new_page()
    log_in(page, place)
    page.goto(f"{place.url}my/")
    wait_for(
        page, "Your list on Spotify was read"
    )  # or nothing is listed once the artist is no longer watched
    page.goto(f"{place.url}?q=novelty+970")
    press(page, "Watch Late Comer")
    expect(page.get_by_role("status")).to_contain_text("You watch this artist now")
    assert urlsplit(page.url).query == "q=novelty+970", "back to where it was"
    assert urlsplit(page.url).fragment == f"r-{spotify_id('album', 970)}"
    page.get_by_role("navigation", name="Main").get_by_role("link", name="My artists").click()
    page.get_by_label("Artist or release").fill("novelty 970")
    press(page, "Search")
    expect(page.locator(WALL)).to_have_count(1)
    page.locator(WALL).get_by_role("button", name="Stop watching").click()
    expect(page.get_by_role("status")).to_contain_text("You no longer watch this artist")
    press(page, "All releases of my artists")
    assert urlsplit(page.url).path == "/my/"
