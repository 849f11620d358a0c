"""`/my/`, and the buttons by which its owner watches and ignores artists."""

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from server.following import list_store
from server.storage import sweeps
from tests.support.examples import album, albums, artist, spotify_id, sweep
from tests.support.login_browser import Browser, SetStage, Stage, landing, read_page
from tests.support.standins import StartStandIn
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 5, 0, 12, tzinfo=UTC)
ARTIST = [spotify_id("artist", number) for number in range(9)]


def names(page: str) -> list[str]:
    """The releases that a page shows, the upcoming ones first."""
    return re.findall(r'<bdi class="name">([^<]+)</bdi>', page)


def actions(page: str) -> list[str]:
    return re.findall(r'name="do" value="(\w+)"', page)


async def take(stage: Stage, *items: dict[str, Any]) -> None:
    at = stage.clock()
    await stage.freshet.database.run(sweeps.record_sweep, sweep(list(items)), at, lambda: at)
    await stage.freshet.cache.refresh()


async def follow(stage: Stage, *numbers: int) -> None:
    (account,) = await stage.all("SELECT account_id FROM logins")
    followed = [(ARTIST[number], f"Artist {number}") for number in numbers]
    at = stage.clock()
    await stage.freshet.database.run(list_store.record_followed, account, followed, at, "x")
    stage.freshet.own.my_releases.forget()


async def press(browser: Browser, page: str, action: str, artist_id: str) -> str:
    """Press a button of a page; returns the page to which the browser is sent."""
    form = re.search(
        rf'action="(/my/artists/{artist_id}/)"><input type="hidden" name="next" value="([^"]+)">'
        rf'<button class="chip" name="do" value="{action}">',
        page,
    )
    assert form is not None, f"no button to {action} {artist_id}"
    answer = await browser.post(form[1], {"do": action, "next": form[2]})
    assert answer.code == 303, answer.body
    shown = await browser.get(landing(browser.home, answer.headers["Location"]).partition("#")[0])
    return str(shown.body.decode())


@pytest.mark.gen_test
async def test_the_page_needs_a_login_and_says_what_to_do_without_artists(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    stranger, nowhere = await browser.get("/my/"), await browser.get("/my/nothing/")
    assert stranger.code == nowhere.code == 401
    page = read_page(stranger, 401)
    assert "You are not logged in" in page
    assert "<code>user-follow-read</code>" in page
    (link,) = re.findall(r'href="(/auth/login/\?[^"]+)"', page)
    consent = (await browser.get(link)).headers["Location"]
    admitted = await browser.get(await browser.agree(consent))
    assert landing(stage.url, admitted.headers["Location"]) == f"{stage.url}/my/"
    mine = await browser.get("/my/")
    assert (mine.code, mine.headers["Cache-Control"]) == (200, "private, no-store")
    assert "Your list on Spotify has not been read yet. Reload" in mine.body.decode()
    await follow(stage)
    nobody = (await browser.get("/my/")).body.decode()
    assert "You follow nobody on Spotify, as of 20 November 2026" in nobody
    assert "No artists yet. Follow some on Spotify" in nobody
    nowhere = await browser.get("/my/nothing/")
    for private in (await browser.get("/my/keys/"), nowhere):
        assert 'href="/my/">My artists' in private.body.decode()
    assert nowhere.code == 404


@pytest.mark.gen_test
async def test_upcoming_releases_come_first_in_a_row_of_their_own(
    set_stage: SetStage, start_standin: StartStandIn
) -> None:
    stage = await set_stage()
    coming = [
        album(20 + day, artists=[artist(1)], release_date=f"2027-12-{day:02}", name=f"Day {day}")
        for day in range(1, 9)
    ]
    await take(stage, *albums(5), *coming)
    browser = stage.browser()
    await browser.log_in()
    await follow(stage, 1, 2)
    page = (await browser.get("/my/")).body.decode()
    assert names(page) == [*(f"Day {day}" for day in range(1, 6)), "Album 1", "Album 2"]
    assert "8 releases" in page
    assert "All upcoming releases" in page
    assert "2 followed" in page
    assert "Each of your 2 artists is looked up every day; for those of all accounts, Fr" in page
    assert re.search(r"Freshet may make \d+ calls to Spotify a day\.", page)
    assert "The releases of 0 of 2 artists have been looked up so far" in page
    only = (await browser.get("/my/?upcoming=only&sort=released")).body.decode()
    assert names(only) == [f"Day {day}" for day in range(1, 9)]
    assert "<title>My artists: Upcoming · Freshet</title>" in only
    first = (await browser.get("/my/?limit=1")).body.decode()
    (onward,) = re.findall(r'<link rel="next" href="([^"]+)">', first)
    later = (await browser.get(unescape(onward))).body.decode()
    assert names(later) == ["Album 2"]
    assert "<title>My artists: Older releases, 20 Nov 2026 · Freshet</title>" in later
    for on_first in ("Import</h3>", "Feeds</h3>", 'id="artists"', 'href="#artists"'):
        assert (on_first in first, on_first in later) == (True, False)
    assert 'href="/my/#artists">2 followed' in later
    assert 'href="/my/?limit=1#releases">Back to the newest</a>' in later
    found = (await browser.get("/my/?q=album+2")).body.decode()
    assert names(found) == ["Album 2"]
    assert 'action="/my/"' in found, "the form stays on the page"
    assert "/feeds/my/albums.atom?q=album+2" in found
    assert (await browser.get("/my/?limit=x")).code == 400


@pytest.mark.gen_test
async def test_buttons_watch_and_ignore_and_lead_back(set_stage: SetStage) -> None:
    stage = await set_stage()
    await take(stage, *albums(4))
    browser = stage.browser()
    await browser.log_in()
    await follow(stage, 1)
    home = (await browser.get("/?q=album")).body.decode()
    assert sorted(actions(home)) == ["ignore", "watch", "watch", "watch"]
    assert f'value="/?q=album#r-{spotify_id("album", 2)}"' in home
    watching = await press(browser, home, "watch", ARTIST[2])
    assert "You watch this artist now" in watching
    assert "“album”" in watching, "it is the page from which the button was pressed"
    mine = (await browser.get("/my/")).body.decode()
    assert names(mine) == ["Album 1", "Album 2"]
    assert "You watch this artist now" not in mine, "that is said once"
    mine = await press(browser, mine, "ignore", ARTIST[1])
    assert names(mine) == ["Album 2"]
    mine = await press(browser, mine, "unignore", ARTIST[1])
    mine = await press(browser, mine, "unwatch", ARTIST[2])
    assert names(mine) == ["Album 1"]
    page = (await browser.get(f"/artists/{ARTIST[3]}/")).body.decode()
    page = await press(browser, page, "watch", ARTIST[3])
    assert "Artist 3" in page
    assert "unwatch" in actions(page)


@pytest.mark.gen_test
async def test_what_the_server_watches_can_be_ignored_by_an_account(set_stage: SetStage) -> None:
    stage = await set_stage()
    await take(stage, *albums(3))
    browser = stage.browser()
    await browser.log_in()
    await stage.freshet.own.choices.choose(None, {ARTIST[1]: None}, "watched")
    await stage.freshet.own.choices.choose(None, {ARTIST[8]: None}, "watched")
    mine = (await browser.get("/my/")).body.decode()
    assert names(mine) == ["Album 1"]
    assert f'<a href="/artists/{ARTIST[1]}/"><bdi>Artist 1</bdi>' in mine
    unknown = f"https://open.spotify.com/artist/{ARTIST[8]}"
    assert f'<a href="{unknown}"><bdi>{ARTIST[8]}</bdi>' in mine, "it has no page here yet"
    mine = await press(browser, mine, "unwatch", ARTIST[1])
    assert names(mine) == []
    mine = await press(browser, mine, "unignore", ARTIST[1])
    assert names(mine) == ["Album 1"]


@pytest.mark.gen_test
async def test_public_pages_are_the_same_for_all_strangers_and_have_no_buttons(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    await take(stage, *albums(3))
    paths = ("/", f"/artists/{ARTIST[1]}/", "/status")
    owner, stranger = stage.browser(), stage.browser()
    await owner.log_in()
    await follow(stage, 1)
    before = [(await stranger.get(path)).body for path in paths[:2]]
    for path in paths:
        page = (await owner.get(path)).body.decode()
        assert 'href="/my/"' in page
        assert "My artists" not in (await stranger.get(path)).body.decode()
    await stage.freshet.own.choices.choose(None, {ARTIST[2]: None}, "watched")
    assert [(await stranger.get(path)).body for path in paths[:2]] == before
    assert actions(before[0].decode()) == []


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "@evil.example", "/\\evil.example", ""]
)
@pytest.mark.gen_test
async def test_a_button_leads_to_no_other_server(set_stage: SetStage, target: str) -> None:
    stage = await set_stage()
    browser = stage.browser()
    await browser.log_in()
    answer = await browser.post(f"/my/artists/{ARTIST[1]}/", {"do": "watch", "next": target})
    assert answer.code == 303
    assert landing(stage.url, answer.headers["Location"]) in (f"{stage.url}/", f"{stage.url}/my/")


@pytest.mark.gen_test
async def test_forms_of_other_pages_and_unknown_buttons_change_nothing(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    browser = stage.browser()
    path, form = f"/my/artists/{ARTIST[1]}/", {"do": "watch", "next": "/"}
    assert (await browser.post(path, form)).code == 401
    await browser.log_in()
    foreign = await browser.post(path, form, origin="https://evil.example", site="cross-site")
    assert foreign.code == 403
    assert (await browser.post(path, {"do": "x"})).code == 400
    assert await stage.all("SELECT * FROM chosen_artists") == []


@pytest.mark.gen_test
async def test_a_list_is_imported_by_a_form_that_shows_what_was_not_understood(
    set_stage: SetStage,
) -> None:
    stage = await set_stage()
    await take(stage, *albums(4))
    browser = stage.browser()
    assert (await browser.post("/my/import/", {"list": ARTIST[1]})).code == 401
    await browser.log_in()
    text = f"{ARTIST[1]}\r\nLost <b>in</b> Transit\r\nspotify:artist:{ARTIST[2]}"
    shown = await browser.post("/my/import/", {"list": text})
    page = shown.body.decode()
    assert "The list names 2 artists" in page
    assert "Line 2" in page
    assert "Lost &lt;b&gt;in&lt;/b&gt; Transit" in page
    for nothing in ({}, {"list": " \r\n"}, {"list": "# nobody"}):
        refused = await browser.post("/my/import/", nothing)
        assert "The list is empty" in read_page(refused, 400)
    unknown = (await browser.post("/my/import/", {"list": "Lost"})).body.decode()
    assert "Nothing was imported. 1 line was not understood" in " ".join(unknown.split())
    whole = await browser.post("/my/import/", {"list": ARTIST[3]})
    assert whole.code == 303
    mine = (await browser.get(landing(stage.url, whole.headers["Location"]))).body.decode()
    assert "You watch all artists of the list now" in mine
    assert names(mine) == ["Album 1", "Album 2", "Album 3"]


@pytest.mark.gen_test
async def test_the_list_on_spotify_is_read_again_on_demand(set_stage: SetStage) -> None:
    stage = await set_stage()
    browser = stage.browser()
    assert (await browser.post("/my/refresh/")).code == 401
    await browser.log_in()
    said = []
    for _ in range(2):
        answer = await browser.post("/my/refresh/")
        assert answer.code == 303
        mine = await browser.get(landing(stage.url, answer.headers["Location"]))
        (note,) = re.findall(r'<p class="note done" role="status">([^<]+)<', mine.body.decode())
        said.append(note)
        await until(lambda: stage.standin.calls_to("/v1/me/following"))
        await until(lambda: stage.freshet.following.lists.states)
    assert "is being read" in said[0]
    assert "cannot be read right now" in said[1], "it was read a moment ago"
