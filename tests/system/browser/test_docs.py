"""The page of the API in Chromium: read, tried by click and by key, with scripts and without."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from sqlalchemy.orm import Session

from server.login import key_store
from server.openapi import reference
from server.openapi.spec import openapi
from tests.support.browser_actions import CONTRASTS, SCHEMES
from tests.support.browser_fixtures import WIDTHS, Looks, Place

BAD = "the server responded with a status of 400"
ICON = "/favicon.ico"  # JSON names no icon, so the browser looks there
EVERYTHING = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
MOTIONS: tuple[tuple[Literal["reduce", "no-preference"], str], ...] = (
    ("reduce", "auto"),
    ("no-preference", "smooth"),
)


def card(page: Page, anchor: str) -> Locator:
    return page.locator(f"#{anchor}")


def submit(page: Page, anchor: str) -> None:
    card(page, anchor).get_by_role("button", name=re.compile("^Try it")).click()


def state(page: Page, anchor: str) -> Locator:
    return card(page, anchor).get_by_role("status")


@pytest.fixture
def docs(page: Page, place: Place) -> Page:
    page.goto(f"{place.url}api/docs/")
    return page


def test_a_call_is_tried_in_place_and_a_second_time_is_a_304(docs: Page, place: Place) -> None:
    here = card(docs, "listArtists")
    here.get_by_label(re.compile("^limit")).fill("1")
    here.get_by_label("single", exact=True).first.check()
    here.get_by_label("album", exact=True).first.check()
    address = f"{place.url}api/artists/?limit=1&type=album,single"
    expect(here.locator(".command pre")).to_have_text(f"curl '{address}'")
    with docs.expect_response(re.compile("/api/artists/")) as answer:
        submit(docs, "listArtists")
    assert answer.value.url == address, "empty fields are not sent"
    expect(state(docs, "listArtists")).to_contain_text(
        re.compile(r"^200 OK in \d+ ms, [\d.]+ k?B$")
    )
    shown = here.get_by_role("region", name="Response")
    assert json.loads(shown.inner_text())["limit"] == 1
    for header in ("ETag", "Cache-Control", "X-Last-Sync", "Link"):
        expect(here.locator(".reply dt", has_text=header)).to_be_visible()
    submit(docs, "listArtists")
    expect(state(docs, "listArtists")).to_contain_text(re.compile("^304 Not Modified"))
    expect(here.locator(".reply")).to_contain_text(f"If-None-Match: {answer.value.headers['etag']}")
    assert json.loads(shown.inner_text())["limit"] == 1, "the answer stays"
    here.get_by_label(re.compile("^limit")).fill("2")
    submit(docs, "listArtists")
    expect(state(docs, "listArtists")).to_contain_text("200 OK")
    here.get_by_role("button", name=re.compile("^Clear")).click()
    expect(here.locator(".command pre")).to_have_text(f"curl '{place.url}api/artists/'")
    assert docs.url == f"{place.url}api/docs/"


def test_an_error_is_told_in_words(docs: Page, expected: list[str]) -> None:
    expected.append(BAD)
    here = card(docs, "listArtists")
    here.get_by_label(re.compile("^at")).evaluate("input => { input.type = 'text'; }")
    here.get_by_label(re.compile("^at")).fill("2026-02-30")
    submit(docs, "listArtists")
    expect(state(docs, "listArtists")).to_contain_text("400 Bad Request")
    note = here.locator(".reply .note")
    expect(note).to_contain_text("A query parameter is invalid")
    expect(note).to_contain_text("at=2026-02-30 must be a date")
    expect(here.locator(".reply dt", has_text="Content-Type")).to_be_visible()


def test_a_gap_in_the_path_is_filled_and_a_feed_is_shown_as_text(docs: Page, place: Place) -> None:
    page = json.loads(place.server.get("/api/artists/?limit=1")[2])
    spotify_id = page["items"][0]["spotify_id"]
    card(docs, "getArtist").get_by_label(re.compile("^id")).fill(spotify_id)
    submit(docs, "getArtist")
    expect(state(docs, "getArtist")).to_contain_text("200 OK")
    expect(card(docs, "getArtist").locator(".reply pre")).to_contain_text(f'"{spotify_id}"')
    submit(docs, "csvFeed")
    expect(card(docs, "csvFeed").locator(".reply pre")).to_contain_text("spotify_id")


def test_a_long_answer_is_cut_at_a_bound_that_is_told(docs: Page) -> None:
    card(docs, "listArtists").get_by_label(re.compile("^release_limit")).fill("200")
    card(docs, "listArtists").get_by_label("markets", exact=True).check()
    submit(docs, "listArtists")
    expect(card(docs, "listArtists").locator(".cut")).to_contain_text("first 100,000 of")
    assert len(card(docs, "listArtists").locator(".reply pre").text_content() or "") == 100_000


def test_a_server_that_is_gone_is_told_in_words(docs: Page, expected: list[str]) -> None:
    expected.append("net::ERR_")
    docs.route("**/api/status", lambda route: route.abort())
    submit(docs, "getStatus")
    expect(state(docs, "getStatus")).to_contain_text("The server could not be reached")
    docs.unroute("**/api/status")
    submit(docs, "getStatus")
    expect(state(docs, "getStatus")).to_contain_text("200 OK")


def test_what_an_answer_contains_is_text_and_nothing_else(docs: Page, expected: list[str]) -> None:
    expected.append("the server responded with a status of 500")
    hostile = '{"title": "<img src=x onerror=alert(1)>", "errors": [{"parameter": "<b>"}]}'

    def answer(route: Route) -> None:
        route.fulfill(status=500, content_type="application/problem+json", body=hostile)

    docs.route("**/api/status", answer)
    submit(docs, "getStatus")
    expect(card(docs, "getStatus").locator(".reply .note")).to_contain_text("<img src=x")
    expect(card(docs, "getStatus").locator("img, b")).to_have_count(0)


def test_the_command_is_copied(new_context: Callable[..., BrowserContext], place: Place) -> None:
    context = new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{place.url}api/docs/")
    card(page, "getStatus").get_by_role("button", name="Copy").click()
    expect(card(page, "getStatus").get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"curl '{place.url}api/status'"


def test_a_key_is_sent_with_private_calls_alone_and_kept_nowhere(
    docs: Page, place: Place, expected: list[str]
) -> None:
    expected.append("the server responded with a status of 401")
    key = f"fr_{'k' * 43}"
    with Session(place.engine) as session, session.begin():
        key_store.insert(session, None, "docs", ["manage"], key, key[:7], datetime.now(UTC))
    here = card(docs, "listKeys")
    expect(here.locator(".needs")).to_contain_text("an access key with the scope manage")
    expect(here.locator(".command pre")).to_contain_text("-H 'Authorization: Bearer …'")
    submit(docs, "listKeys")
    expect(state(docs, "listKeys")).to_contain_text("401 Unauthorized")
    field = docs.get_by_label("Access key", exact=True)
    assert field.get_attribute("type") == "password"
    field.fill(f" {key} ")
    submit(docs, "listKeys")
    expect(state(docs, "listKeys")).to_contain_text("200 OK")
    shown = json.loads(here.get_by_role("region", name="Response").inner_text())
    assert [each["name"] for each in shown["items"]] == ["docs"]
    with docs.expect_request(re.compile("/api/status")) as sent:
        submit(docs, "getStatus")
    assert "authorization" not in sent.value.headers
    assert key not in docs.content()
    assert docs.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
        *(0, 0, "")
    ]
    docs.reload()
    assert docs.get_by_label("Access key", exact=True).input_value() == ""
    with Session(place.engine) as session, session.begin():
        (entry,) = key_store.entries(session, None)
        assert key_store.revoke(session, None, entry.id)


def test_every_call_can_be_tried_without_scripts(
    new_context: Callable[..., BrowserContext], place: Place, expected: list[str]
) -> None:
    expected.append(ICON)
    page = new_context(java_script_enabled=False).new_page()
    page.goto(f"{place.url}api/docs/")
    here = card(page, "listArtists")
    here.get_by_label(re.compile("^limit")).fill("1")
    here.get_by_label("album", exact=True).first.check()
    here.get_by_label("single", exact=True).first.check()
    submit(page, "listArtists")
    assert page.url == f"{place.url}api/artists/?limit=1&type=album,single"
    spotify_id = json.loads(page.locator("body").inner_text())["items"][0]["spotify_id"]
    page.goto(f"{place.url}api/docs/")
    card(page, "getArtist").get_by_label(re.compile("^id")).fill(spotify_id)
    submit(page, "getArtist")
    assert page.url == f"{place.url}api/artists/{spotify_id}/"


def test_all_can_be_done_with_the_keyboard(docs: Page) -> None:
    docs.keyboard.press("Tab")
    focus = docs.locator(":focus")
    expect(focus).to_have_text("Skip the table of contents")
    expect(focus).to_be_in_viewport()
    docs.keyboard.press("Enter")
    expect(docs.locator("#endpoints")).to_be_focused()
    for _ in range(8):
        docs.keyboard.press("Tab")
        outline = focus.evaluate("element => getComputedStyle(element).outline")
        assert re.search(r"solid [23]px", outline), focus.evaluate("element => element.outerHTML")
    docs.goto(f"{docs.url.partition('#')[0]}#getStatus")
    docs.keyboard.press("Tab")
    docs.keyboard.press("Tab")
    docs.keyboard.press("Enter")
    expect(state(docs, "getStatus")).to_contain_text("200 OK")


def test_every_control_and_region_has_a_name(docs: Page) -> None:
    docs.evaluate(EVERYTHING)
    nameless = docs.evaluate("""() => [...document.querySelectorAll("input, select")]
        .filter(each => !each.labels.length).map(each => each.outerHTML)""")
    assert nameless == []
    broken = docs.evaluate("""() => [...document.querySelectorAll(
          "[aria-describedby], [aria-labelledby], a[href^='#']")]
        .flatMap(each => [each.getAttribute("aria-describedby"),
          each.getAttribute("aria-labelledby"), each.getAttribute("href")?.match(/^#(.+)/)?.[1]])
        .filter(each => each && !document.getElementById(decodeURIComponent(each)))""")
    assert broken == []
    twice = docs.evaluate("""() => [...document.querySelectorAll("[id]")].map(each => each.id)
        .filter((each, place, all) => all.indexOf(each) !== place)""")
    assert twice == []


def test_what_the_browser_knows_to_be_wrong_is_not_sent(docs: Page) -> None:
    fields = [field for each in reference.read(openapi()).operations for field in each.fields]
    assert any(each.pattern for each in fields)
    docs.evaluate(EVERYTHING)
    here = card(docs, "listArtists")
    for name, good, bad in (
        ("released_after", "2026-11", "2026-13"),
        ("market", "DE", "DEU"),
    ):
        field = here.get_by_label(re.compile(f"^{name} "))
        for value, valid in ((good, True), (bad, False), ("", True)):
            field.fill(value)
            assert field.evaluate("input => input.validity.valid") is valid, (name, value)
    field = here.get_by_label(re.compile("^limit"))
    field.fill("501")
    submit(docs, "listArtists")
    assert not field.evaluate("input => input.validity.valid")
    expect(state(docs, "listArtists")).to_be_empty()


def test_it_fits_every_screen_stands_out_in_light_and_dark_and_moves_only_for_who_wants_that(
    docs: Page, looks: Looks, photograph: Callable[[Page, str], None]
) -> None:
    submit(docs, "getStatus")
    expect(state(docs, "getStatus")).to_contain_text("200 OK")
    for width, scheme in looks(0):
        docs.set_viewport_size({"width": width, "height": 900})
        docs.emulate_media(color_scheme=scheme)
        photograph(docs, f"docs-{width}-{scheme}")
    docs.evaluate(EVERYTHING)
    grounds = set()
    for width in WIDTHS:
        docs.set_viewport_size({"width": width, "height": 900})
        assert docs.evaluate("document.documentElement.scrollWidth") <= width
    for scheme in SCHEMES:
        docs.emulate_media(color_scheme=scheme)
        contrasts, ground = docs.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        assert not {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}, scheme
        grounds.add(ground)
    assert len(grounds) == 2
    for motion, scrolling in MOTIONS:
        docs.emulate_media(reduced_motion=motion)
        assert (
            docs.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == scrolling
        )
