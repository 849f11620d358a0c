"""What tests in a real browser share: Chromium, and a server with its stand-in for Spotify."""

from playwright.sync_api import (
    expect,
)

from tests.support.browser_fixtures import (
    PATIENCE,
    chromium,
    expected,
    foreign_page,
    listen,
    looks,
    new_context,
    page,
    photograph,
    place,
    window,
)

__all__ = [
    "chromium",
    "expected",
    "foreign_page",
    "listen",
    "looks",
    "new_context",
    "page",
    "photograph",
    "place",
    "window",
]


expect.set_options(timeout=PATIENCE)
