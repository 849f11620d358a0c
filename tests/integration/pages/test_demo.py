"""The demo says that it is one, and its covers and links stay right after a restart."""

import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from handlers.pages.base import Pages
from handlers.session import PublicAddress
from server.commands import demo
from server.config.settings import DemoSettings
from server.errors import EmbeddedPostgresError, FreshetError
from server.standin import Catalogue
from tests.support.clock import Clock
from tests.support.login_browser import Browser, SetStage, Stage, read_page
from tests.support.outline import Outline
from tests.support.standins import StartStandIn

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


LINE = "Demo: artists and releases are invented."
EVERY_KIND_OF_PAGE = {
    "/": 200,
    "/status": 200,
    "/api/docs/": 200,
    "/nowhere": 404,
    "/?at=x": 400,
    "/problems/not-found": 200,
    "/auth/callback/": 400,
}


async def shown(set_stage: SetStage, start_standin: Any, clock: Any) -> tuple[Stage, Browser]:
    """A demo that has synced, and whose stand-in knows under which address it is shown."""
    standin = start_standin(catalogue=Catalogue.generate(today=clock().date()), clock=clock)
    stage = await set_stage(standin, kind=DemoSettings, sync_source="new-releases")
    standin.world.shown_url = f"{stage.url}/demo"
    await stage.freshet.syncer.sync()
    return stage, stage.browser()


@pytest.mark.gen_test
async def test_every_page_of_the_demo_says_so_and_leads_to_the_setup(
    set_stage: SetStage,
) -> None:
    real, staged = await set_stage(), await set_stage(kind=DemoSettings)
    for path, status in EVERY_KIND_OF_PAGE.items():
        for stage, said in ((real, False), (staged, True)):
            response = await stage.browser().get(path, Accept="text/html")
            assert response.code == status, path
            page = response.body.decode()
            assert (LINE in page) is said, path
            assert ('href="/setup"' in page) is said, path


@pytest.mark.gen_test
async def test_the_covers_of_the_demo_are_freshets_own(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    stage, browser = await shown(set_stage, start_standin, clock)
    page = read_page(await browser.get("/"))
    covers = [str(each) for each in Outline(page).all("img", "src") if "/image/" in str(each)]
    assert len(covers) > 30
    assert all(each.startswith("/demo/image/") for each in covers)
    assert "http://127.0.0.1" not in page, "whatever the address at which it was reached"
    picture = await browser.get(covers[0])
    assert picture.headers["Content-Type"] == "image/svg+xml"
    assert picture.body.startswith(b"<svg ")
    for unknown in (f"/demo/image/{'0' * 40}", "/demo/image/x"):
        assert (await browser.get(unknown)).code == 404
    album = orjson.loads((await browser.get("/api/albums/?limit=1")).body)["items"][0]
    assert all(each["url"].startswith(f"{stage.url}/demo/image/") for each in album["images"])
    assert album["href"].startswith(stage.standin.api_url), "programs go on asking the stand-in"


@pytest.mark.gen_test
async def test_a_link_of_the_demo_leads_to_the_stand_in_wherever_that_is(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock
) -> None:
    stage, browser = await shown(set_stage, start_standin, clock)
    page = read_page(await browser.get("/"))
    links = [str(each) for each in Outline(page).all("a", "href") if "/open/" in str(each)]
    assert links
    assert all(each.startswith("/demo/open/album/") for each in links)
    moved = await browser.get(links[0])
    assert moved.code == 303
    assert moved.headers["Location"].startswith(f"{stage.standin.accounts_url}/open/album/")
    assert (await browser.get(moved.headers["Location"])).code == 200


@pytest.mark.gen_test
async def test_the_real_thing_has_no_such_addresses(set_stage: SetStage) -> None:
    browser = (await set_stage()).browser()
    for path in (f"/demo/image/ab67616d0000b273{'0' * 24}", "/demo/open/album/x"):
        assert (await browser.get(path)).code == 404


def test_addresses_of_earlier_runs_are_shown_as_paths_of_this_one() -> None:
    pages = Pages(PublicAddress("http://127.0.0.1:5003/under"), demo=True)
    stored = "http://127.0.0.1:5000/demo/image/a 640w, http://127.0.0.1:5001/image/b 300w"
    assert pages.local(stored) == "/under/demo/image/a 640w, /under/demo/image/b 300w"
    for untouched in ("https://i.scdn.co/image/ab", "http://127.0.0.1:5001/image/a"):
        assert Pages(PublicAddress("http://127.0.0.1:5003")).local(untouched) == untouched


@pytest.mark.gen_test
async def test_a_stand_in_that_has_to_move_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Any
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        standin = demo.start_standin(port=taken.getsockname()[1])
    with demo.only_one() as lock:
        chosen = demo.settings(standin, port=5003)
        assert standin.world.shown_url == "http://127.0.0.1:5003/demo"
        assert chosen.spotify_api_url == standin.api_url
        demo.report_place(lock, standin, "http://127.0.0.1:5003")
    await standin.stop()
    (said,) = [line for line in lines() if line["event"] == "standin_moved"]
    assert said["url"] == standin.accounts_url


def test_without_an_embedded_database_the_demo_gives_advice_that_helps() -> None:
    def missing() -> Path:
        raise EmbeddedPostgresError("set DATABASE_URL=postgresql://… to a server of your own")

    with pytest.raises(FreshetError, match="uses no other database") as refused:
        demo.check_database(missing)
    assert "manage.py init" in str(refused.value)
