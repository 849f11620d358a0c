"""Fixtures of the browser tests: Chromium, and one server that they share."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    ViewportSize,
    WebError,
    sync_playwright,
)
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from server.database.engine import make_engine
from server.spotify.auth import token_store
from server.standin.world import Listener
from tests.support.chromium import ARGUMENTS, LOAD_IMAGES, MISSING, find
from tests.support.databases import NewDatabase
from tests.support.fork_server import ForkServer
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.server_processes import Server, environment, standin_process, standin_settings

WIDTHS = (360, 768, 1440)
THIS_MACHINE = "127.0.0.1"
HOME_NAME = "raspberrypi.local"  # which the browser finds on this machine
KEEPING_PAGES = ["--disable-back-forward-cache"]  # what Playwright adds, and people do not have
PATIENCE = 60_000  # milliseconds, for a machine that has other things to do
TALLEST = 4_000  # pixels of a page that a screenshot shows; there are pages of 80,000
HEIGHT = "document.documentElement.scrollHeight"
Looks = Callable[[int], Iterator[tuple[int, Literal["light", "dark"]]]]


@dataclass(frozen=True)
class Place:
    """A server to visit; it takes 30 logins a minute. `url` ends in a slash."""

    url: str
    server: Server
    engine: Engine

    def forget_everybody(self) -> None:
        """Remove the login, and wait until the server has noticed."""
        with Session(self.engine) as session, session.begin():
            token_store.delete_login(session, Listener.account_id)
        deadline = time.monotonic() + PATIENCE / 1000
        while b"No one is logged in" not in self.server.get("/")[2]:
            assert time.monotonic() < deadline, "the server did not hear that the login is gone"
            time.sleep(0.01)


SIZE: ViewportSize = {"width": 1280, "height": 720}  # playwright's own


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Start Chromium for the package; in the session, Playwright's loop disturbs other tests."""
    path = find()
    if path is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[*ARGUMENTS, f"--host-resolver-rules=MAP {HOME_NAME} 127.0.0.1"],
            ignore_default_args=KEEPING_PAGES,
        )
        yield browser
        browser.close()


@contextmanager
def serving(
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    folder: Path,
    name: str = THIS_MACHINE,
    **settings: str,
) -> Iterator[Place]:
    """Start a server with its own database and stand-in, and check at the end that it is well.

    `name` is the host of its public address.
    """
    port = free_port()
    url = f"http://{name}:{port}/"
    with (
        new_database(migrated) as database_url,
        standin_process(
            *("--redirect-uri", f"http://{THIS_MACHINE}:{port}/auth/callback/"),
            fork_server=fork_server,
        ) as spotify,
    ):
        env = environment(database_url, **standin_settings(spotify), **settings)
        if name != THIS_MACHINE:
            env["PUBLIC_URL"] = url
        server = Server(
            manage_py, folder / "log", "-p", str(port), env=env, fork_server=fork_server
        )
        server.port = port
        engine = make_engine(database_url)
        try:
            server.event("server_started", 60)
            yield Place(url, server, engine)
            assert server.stop() == 0
            assert not [each for each in server.lines() if each["level"] == "error"]
        finally:
            engine.dispose()
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


@pytest.fixture(scope="package")
def place(
    new_database: NewDatabase,
    migrated: str,
    manage_py: Path,
    fork_server: ForkServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """Start one server for all browser tests, with all that the stand-in lists."""
    folder = tmp_path_factory.mktemp("place")
    with serving(new_database, migrated, manage_py, fork_server, folder) as place:
        place.server.event("sync_finished", 60)
        yield place


@pytest.fixture
def expected() -> list[str]:
    """Return substrings of the console lines that this test allows."""
    return []


@pytest.fixture
def listen(place: Place, expected: list[str]) -> Iterator[Callable[[BrowserContext], None]]:
    """Fail the test on console messages, such as Content-Security-Policy violations.

    The test begins on a server without a login.
    """
    place.forget_everybody()
    said: list[str] = []
    heard: list[BrowserContext] = []

    def hear(message: ConsoleMessage) -> None:
        said.append(f"{message.type}: {message.text} {message.location['url']}")

    def mourn(error: WebError) -> None:
        said.append(f"uncaught: {error.error}")

    def listen(context: BrowserContext) -> None:
        context.on("console", hear)
        context.on("weberror", mourn)
        heard.append(context)

    yield listen
    for context in heard:
        context.remove_listener("console", hear)
        context.remove_listener("weberror", mourn)
    assert not [each for each in said if not any(part in each for part in expected)]


@pytest.fixture
def new_context(
    chromium: Browser, listen: Callable[[BrowserContext], None]
) -> Iterator[Callable[..., BrowserContext]]:
    """Open browser profiles, each with cookies of its own."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = chromium.new_context(**options)
        context.set_default_timeout(PATIENCE)
        listen(context)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="package")
def window(chromium: Browser) -> Iterator[Page]:
    """Open one page for many tests; a process for each costs more than most of them."""
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(window: Page, listen: Callable[[BrowserContext], None]) -> Iterator[Page]:
    """Return an empty page of a clean profile."""
    listen(window.context)
    yield window
    for tab in window.context.pages:
        if tab != window:
            tab.close()
    window.unroute_all()
    window.emulate_media(color_scheme="null", reduced_motion="null")
    window.set_viewport_size(SIZE)
    window.goto("about:blank")
    window.context.clear_cookies()


@pytest.fixture
def foreign_page() -> Iterator[Callable[..., str]]:
    """Serve a page from another port of this host: the same site, but not the same origin.

    Next to it are the scripts of a folder, if one is given.
    """
    servers: list[ThreadingHTTPServer] = []

    def serve(body: str, scripts: Path | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                is_script = scripts is not None and self.path.endswith(".js")
                kind = "javascript" if is_script else "html"
                self.send_header("Content-Type", f"text/{kind}; charset=utf-8")
                self.end_headers()
                if scripts is not None and is_script:
                    self.wfile.write((scripts / self.path[1:]).read_bytes())
                    return
                icon = '<link rel="icon" href="data:,">'
                self.wfile.write(f"<!doctype html><title>Elsewhere</title>{icon}{body}".encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def looks(long: bool) -> Looks:
    """Return the widths and colour schemes for a page: all widths in light, one in dark.

    The dark width rotates with the page number; with FRESHET_SOAK each page gets all six.
    """

    def chosen(number: int) -> Iterator[tuple[int, Literal["light", "dark"]]]:
        for place, width in enumerate(WIDTHS):
            yield width, "light"
            if long or place == number % len(WIDTHS):
                yield width, "dark"

    return chosen


@pytest.fixture
def photograph(long: bool, request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Load all images of a page, and save a screenshot if FRESHET_SCREENSHOTS or _SOAK is set.

    FRESHET_SCREENSHOTS is the folder; with FRESHET_SOAK alone it is build/screenshots. The viewport
    grows for it: to take what is beyond a viewport takes Chromium many times as long. A screenshot
    is for people to look at: one that cannot be taken fails no test, and the run names it at its
    end.
    """
    folder = Path(os.environ.get("FRESHET_SCREENSHOTS") or ROOT / "build" / "screenshots")
    asked = long or "FRESHET_SCREENSHOTS" in os.environ

    def save(page: Page, name: str) -> None:
        page.evaluate(LOAD_IMAGES)
        if not asked:
            return
        size = page.viewport_size or SIZE
        height = max(size["height"], min(page.evaluate(HEIGHT), TALLEST))
        try:
            page.set_viewport_size({"width": size["width"], "height": height})
            page.screenshot(path=folder / f"{name}.png")
        except Error as error:
            request.node.user_properties.append(("no screenshot", f"{name}: {error.message}"))
        page.set_viewport_size(size)

    return save
