"""The login by copy and paste in Chromium, at a name in a home network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser_actions import LOGGED_IN, SCROLLED, is_sound, press
from tests.support.browser_fixtures import HOME_NAME, PATIENCE, WIDTHS, Place, serving
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer

UNTRUSTED = "Cross-Origin-Opener-Policy header has been ignored"  # as plain http is


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def home(
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path: Path,
) -> Iterator[Place]:
    with serving(
        new_database, migrated, manage_py, fork_server, tmp_path, HOME_NAME, SYNC_INTERVAL="0"
    ) as place:
        yield place


def test_in_a_home_network_the_address_is_pasted(
    visitor: Page, home: Place, photograph: Callable[[Page, str], None]
) -> None:
    said = list[str]()
    visitor.on("console", lambda message: said.append(message.text))
    visitor.goto(home.url)
    expect(visitor.get_by_text("One-click login is not available")).to_be_visible()
    press(visitor, "How to log in")
    look(visitor, photograph)
    with visitor.expect_popup() as opened:
        press(visitor, "Open Spotify’s consent page")
    press(opened.value, "Agree")
    opened.value.wait_for_url(f"http://127.0.0.1:{home.server.port}/auth/callback/?**")
    visitor.get_by_label("Address of that tab").fill(opened.value.url)
    press(visitor, "Log in")
    expect(visitor.get_by_text(LOGGED_IN)).to_be_visible()
    press(visitor, "Log out")
    expect(visitor.get_by_text("You are logged out.")).to_be_visible()
    assert not [each for each in said if UNTRUSTED not in each]


def look(page: Page, photograph: Callable[[Page, str], None]) -> None:
    """Find nothing that shuts people out or runs over the edge, at any width."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 720})
        assert page.evaluate(SCROLLED) == []
        photograph(page, f"login-by-hand-{width}")
    is_sound(page, "login by hand")
