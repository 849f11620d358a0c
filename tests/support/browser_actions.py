"""Actions of a person in a browser, and checks that every page must pass."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from models import Album, ChosenArtist
from server.standin.world import Listener
from server.storage import following, sweeps
from tests.support.browser_fixtures import WIDTHS, Looks, Place
from tests.support.examples import album, artist, sweep

LOGGED_IN = f"You are logged in as {Listener.display_name}"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# The contrast of every text with what is behind it, and the colour of the page's ground.
# Source: WCAG 2.2, relative luminance.
CONTRASTS = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const opaque = colour => colour.length === 3 || colour[3] === 1;
  const linear = part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) =>
    0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const behind = element => {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    return opaque(colour) ? colour : behind(element.parentElement);
  };
  const found = {};
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data.trim(), element = texts.currentNode.parentElement;
    if (!text) continue;
    const ink = light(numbers(getComputedStyle(element).color)), ground = light(behind(element));
    found[text] = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  }
  return [found, getComputedStyle(document.body).backgroundColor];
}"""


def press(page: Page, name: str) -> None:
    """Click the link or button of this name."""
    page.get_by_role("link", name=name).or_(page.get_by_role("button", name=name)).click()


def log_in(page: Page, place: Place) -> None:
    page.goto(place.url)
    press(page, "Log in with Spotify")
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element of this name has visible focus."""
    focus = page.locator(":focus")
    for _ in range(10):
        page.keyboard.press("Tab")
        if focus.inner_text() == name:
            outline = focus.evaluate("element => getComputedStyle(element).outline")
            assert re.search(r"solid [23]px", outline), f"{name} does not show its focus: {outline}"
            return
    raise AssertionError(f"Tab does not lead to {name}")


SCROLLED = """() => Array.from(document.querySelectorAll('main *'))
  .filter(each => each.scrollWidth > each.clientWidth && each.clientWidth > 1
    && getComputedStyle(each).overflowX !== 'visible')
  .map(each => each.outerHTML.slice(0, 100))"""
VIOLATIONS = {"resultTypes": ["violations"]}  # of the rest, no more than one example is told
COLOURS = {**VIOLATIONS, "runOnly": ["color-contrast"]}  # all that a scheme changes
MORE_OF_THE_SAME = "#cards > li:nth-child(n + 13)"
VIOLATED = "([what, rules]) => axe.run(what, rules).then(told => told.violations)"


def take(place: Place, *items: dict[str, Any]) -> None:
    """Store releases, as a sync of another server on the same database would."""
    now = datetime.now(UTC)
    with Session(place.engine) as session, session.begin():
        sweeps.record_sweep(session, sweep(list(items), complete=False), now, lambda: now)


def remove(place: Place) -> None:
    """Delete the releases and choices of a test, as another server on the same database would."""
    with Session(place.engine) as session, session.begin():
        session.execute(delete(ChosenArtist))
        session.execute(delete(Album).where(Album.spotify_id.startswith("album0")))
        for channel in (following.CHANNEL, sweeps.CHANNEL):
            session.execute(select(func.pg_notify(channel, "another")))


def novelty(number: int) -> dict[str, Any]:
    """Return a release newer than all others, whose cover is on an unreachable server."""
    today = datetime.now(UTC).date()
    who = [artist(number, name="Late Comer")]
    return album(number, name=f"Novelty {number}", release_date=str(today), images=[], artists=who)


def old_news(number: int) -> dict[str, Any]:
    """Return a release that has just been found but is older than all others."""
    return {**novelty(number), "name": f"Old News {number}", "release_date": "2001-01-01"}


def is_sound(
    page: Page, station: str, rules: dict[str, Any] = VIOLATIONS, without: str = ""
) -> None:
    """Check a page for accessibility violations and horizontal scrolling."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(VIOLATED, [{"exclude": [without] if without else []}, rules])
    grave = [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert not grave, station


def seen_by_everybody(
    page: Page, station: str, number: int, looks: Looks, long: bool
) -> Iterator[str]:
    """Show a page at each of its widths and schemes, and check it; the name of each look.

    The layout changes once, between the narrow width and the others, which take turns with the
    number of the page. All violations are looked for in light, those of colours in dark.
    """
    narrow, *wider = WIDTHS
    for width, scheme in looks(number):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{station} is {wide} wide"
        assert page.evaluate(SCROLLED) == [], f"{station} at {width}"
        if long or scheme == "dark" or width in (narrow, wider[number % len(wider)]):
            rules = VIOLATIONS if long or scheme == "light" else COLOURS
            known = "" if long or (width, scheme) == (narrow, "light") else MORE_OF_THE_SAME
            is_sound(page, f"{station} at {width} in {scheme}", rules, known)
        yield f"{station}-{width}-{scheme}"
