"""The login as people meet it: clicks and keys in Chromium, from the start page to the last."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from server.login.errors import ForeignOrigin, LoginDenied, StateReplayed
from server.standin.world import Listener
from tests.support.browser_actions import (
    CONTRASTS,
    LOGGED_IN,
    log_in,
    novelty,
    press,
    tab_to,
    take,
)
from tests.support.browser_fixtures import KEEPING_PAGES, PATIENCE, Looks, Place, serving
from tests.support.chromium import ARGUMENTS, WHOLE, find
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer

OWNER = "You own this server"
NO_ACCOUNT = "No one is logged in"
REFUSED = "the server responded with a status of 403"
BAD = "the server responded with a status of 400"


@pytest.fixture(scope="module")
def place(
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """Start a server with three releases: a login leads to the start page four times.

    Chromium takes 0.3 s of CPU time for the 48 that all others have there.
    """
    folder = tmp_path_factory.mktemp("place")
    with serving(
        new_database, migrated, manage_py, fork_server, folder, SYNC_INTERVAL="0"
    ) as place:
        take(place, *map(novelty, range(3)))
        yield place


@pytest.fixture
def keeping_page(chromium: Browser, listen: Callable[[BrowserContext], None]) -> Iterator[Page]:
    """Open a page of a whole browser, which may keep pages that were left; a shell never does."""
    browser = chromium.browser_type.launch(
        executable_path=find(WHOLE) or find(), args=ARGUMENTS, ignore_default_args=KEEPING_PAGES
    )
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    listen(context)
    yield context.new_page()
    browser.close()


def stations(page: Page, place: Place) -> Iterator[str]:
    """Go through all that people see of a login; the name of each page once it is there."""
    page.goto(place.url)
    expect(page.get_by_text(NO_ACCOUNT)).to_be_visible()
    yield "logged-out"
    press(page, "Log in with Spotify")
    expect(page.get_by_role("button", name="Agree")).to_be_visible()
    yield "consent"
    press(page, "Cancel")
    expect(page.get_by_role("heading", name=LoginDenied.title)).to_be_visible()
    yield "denied"
    press(page, "Try again")
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    yield "logged-in"
    press(page, "Access keys")
    yield "keys"
    page.get_by_label("Name").fill("feed reader")
    page.get_by_label("sync").check()
    press(page, "Make the key")
    expect(page.locator("p > code.key")).to_have_text(re.compile(r"^fr_[\w-]{43}$"))
    yield "key-made"
    page.get_by_role("button", name="Revoke feed reader").click()
    expect(page.get_by_role("status")).to_contain_text("The key is revoked.")
    yield "key-revoked"
    press(page, "Back to your account")
    page.get_by_text("Disconnect…").click()
    expect(page.get_by_role("button", name="Delete and disconnect")).to_be_visible()
    yield "disconnecting"
    press(page, "Delete and disconnect")
    expect(page.get_by_role("status")).to_contain_text("Disconnected")
    yield "disconnected"


def test_a_login_on_the_consent_page_ends_on_the_start_page(page: Page, place: Place) -> None:
    page.goto(place.url)
    expect(page.get_by_text(NO_ACCOUNT)).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)
    press(page, "Log in with Spotify")
    expect(page.get_by_text(f"asks {Listener.display_name}")).to_be_visible()
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    expect(page.get_by_text(OWNER)).to_be_visible()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert page.url == place.url, "no code and no state is left in the address"
    page.reload()
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()


def test_whoever_does_not_agree_is_told_so_and_may_begin_again(
    page: Page, place: Place, expected: list[str]
) -> None:
    expected.append(REFUSED)
    page.goto(place.url)
    press(page, "Log in with Spotify")
    with page.expect_response(re.compile("/auth/callback/")) as answer:
        press(page, "Cancel")
    assert answer.value.status == 403
    expect(page.get_by_role("heading")).to_have_text(LoginDenied.title)
    press(page, "Try again")
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()


def test_a_logout_is_not_undone_by_going_back_or_reloading_and_a_disconnection_leaves_nothing(
    keeping_page: Page, place: Place
) -> None:
    page = keeping_page
    log_in(page, place)
    press(page, "Log out")
    expect(page.get_by_role("status")).to_have_text("You are logged out.")
    expect(page.get_by_text(LOGGED_IN)).to_have_count(0)
    page.go_back(wait_until="commit")  # nothing is loaded if the browser has kept the page
    expect(page.get_by_text("This server belongs to another account")).to_be_visible()
    page.reload()
    expect(page.get_by_text("This server belongs to another account")).to_be_visible()
    kept = {cookie["name"]: cookie["value"].strip('"') for cookie in page.context.cookies()}
    assert not kept.get("freshet_session")
    press(page, "Log in with Spotify")
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    assert Listener.account_id in page.content()
    page.get_by_text("Disconnect…").click()
    press(page, "Delete and disconnect")
    expect(page.get_by_role("status")).to_contain_text("Disconnected")
    expect(page.get_by_text(NO_ACCOUNT)).to_be_visible()
    for mine in (Listener.account_id, Listener.id, Listener.display_name, "Consent given"):
        assert mine not in page.content()
    page.go_back(wait_until="commit")
    expect(page.get_by_text(NO_ACCOUNT)).to_be_visible()
    assert Listener.display_name not in page.content()
    press(page, "Log in with Spotify")
    press(page, "Agree")
    expect(page.get_by_text(OWNER)).to_be_visible()


def test_a_login_ends_where_next_says(page: Page, place: Place, expected: list[str]) -> None:
    expected.append("/favicon.ico")  # JSON names no icon, so the browser looks there
    page.goto(f"{place.url}auth/login/?next=/api/artists/%3Flimit%3D1")
    press(page, "Agree")
    page.wait_for_url(f"{place.url}api/artists/?limit=1")
    expect(page.locator("body")).to_contain_text('"count":1')


def test_two_tabs_can_log_in_at_once(page: Page, place: Place) -> None:
    tabs = [page, page.context.new_page()]
    for tab in tabs:
        tab.goto(place.url)
        press(tab, "Log in with Spotify")
        expect(tab.get_by_role("button", name="Agree")).to_be_visible()
    for tab in tabs:
        tab.bring_to_front()
        press(tab, "Agree")
        expect(tab.get_by_text(LOGGED_IN)).to_be_visible()
    for tab in tabs:
        tab.reload()
        expect(tab.get_by_text(LOGGED_IN)).to_be_visible()


def test_a_login_that_begins_at_localhost_ends_at_the_public_address(
    page: Page, place: Place
) -> None:
    page.goto(place.url.replace("127.0.0.1", "localhost") + "auth/login/")
    press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    assert page.url == place.url


def test_a_callback_that_is_opened_again_has_been_answered_already(
    page: Page, place: Place, expected: list[str]
) -> None:
    expected.append(BAD)
    page.goto(place.url)
    press(page, "Log in with Spotify")
    with page.expect_response(re.compile("/auth/callback/")) as callback:
        press(page, "Agree")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    answer = page.goto(callback.value.url)
    assert answer is not None
    assert answer.status == 400
    expect(page.get_by_role("heading")).to_have_text(StateReplayed.title)
    press(page, "Go to the start page")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()


def test_a_form_of_another_origin_does_nothing(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str]
) -> None:
    expected.append(REFUSED)
    log_in(page, place)
    for action in ("logout", "disconnect"):
        form = f'<form method="post" action="{place.url}auth/{action}/"><button>Win</button></form>'
        page.goto(foreign_page(f"{form}<script>document.forms[0].submit()</script>"))
        expect(page.get_by_role("heading")).to_have_text(ForeignOrigin.title)
        press(page, "Go to the start page")
        expect(page.get_by_text(LOGGED_IN)).to_be_visible()


@pytest.mark.parametrize("path", ["", "auth/callback/"])
def test_pages_cannot_be_framed(
    page: Page, place: Place, foreign_page: Callable[[str], str], expected: list[str], path: str
) -> None:
    expected += ["frame-ancestors 'none'", BAD]
    page.goto(foreign_page(f'<iframe src="{place.url}{path}"></iframe>'))
    assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"]


def test_all_works_without_scripts(
    new_context: Callable[..., BrowserContext], place: Place, expected: list[str]
) -> None:
    expected.append(REFUSED)
    page = new_context(java_script_enabled=False).new_page()
    assert list(stations(page, place))[-1] == "disconnected"


def test_all_can_be_done_with_the_keyboard(page: Page, place: Place) -> None:
    page.goto(place.url)
    go_to_account(page)
    tab_to(page, "Log in with Spotify")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Agree")).to_be_visible()
    tab_to(page, "Agree")
    page.keyboard.press("Enter")
    expect(page.get_by_text(LOGGED_IN)).to_be_visible()
    go_to_account(page)
    tab_to(page, "Log out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("You are logged out.")


def go_to_account(page: Page) -> None:
    """The head of each page leads past the releases, to the login."""
    tab_to(page, "Account")
    page.keyboard.press("Enter")


def test_no_page_scrolls_sideways_and_all_text_stands_out_from_its_ground(
    page: Page,
    place: Place,
    looks: Looks,
    photograph: Callable[[Page, str], None],
    expected: list[str],
) -> None:
    expected.append(REFUSED)
    for number, station in enumerate(stations(page, place)):
        grounds: dict[str, str] = {}
        for width, scheme in looks(number):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{station} is {wide} wide"
            photograph(page, f"{station}-{width}-{scheme}")
            if scheme not in grounds:
                grounds[scheme] = stands_out(page, f"{station} in {scheme}")
        assert len(set(grounds.values())) == 2, f"{station} is no other in the dark"


def stands_out(page: Page, station: str) -> str:
    """Check the contrast of all text; returns the colour of the page's ground."""
    contrasts, ground = page.evaluate(CONTRASTS)
    assert len(contrasts) >= 5, f"{station} has next to no text"
    assert not {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}, station
    return str(ground)
