"""What browsers, crawlers and curious people ask for by themselves."""

from urllib.robotparser import RobotFileParser

import pytest

from tests.support.login_browser import SetStage

AT = "https://music.example/freshet"


@pytest.mark.gen_test
async def test_the_icon_is_where_browsers_look_for_it(set_stage: SetStage) -> None:
    stage = await set_stage()
    for method in ("GET", "HEAD"):
        moved = await stage.browser().request(method, "/favicon.ico")
        assert (moved.code, moved.headers["Location"]) == (301, f"{stage.url}/static/freshet.svg")
        icon = await stage.browser().get(moved.headers["Location"])
        assert icon.headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize("root", ["http://127.0.0.1:5000", AT])
@pytest.mark.gen_test
async def test_crawlers_may_read_pages_and_nothing_private(set_stage: SetStage, root: str) -> None:
    response = await (await set_stage(public_url=root)).browser().get(f"{root}/robots.txt")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    written = response.body.decode()
    assert "/?*\n" in written, "filters, days and further pages of the wall are countless"
    assert "sitemap" not in written.lower()
    rules = RobotFileParser()
    rules.parse(written.splitlines())
    for path in ("/", "/status", "/artists/4Z8W4fKeB5YxbusRsdQVPb/", "/api/docs/"):
        assert rules.can_fetch("any", f"{root}{path}"), path
    for path in ("/api/albums/", "/auth/login/", "/my/", "/feeds/albums.atom", "/metrics"):
        assert not rules.can_fetch("any", f"{root}{path}"), path


@pytest.mark.gen_test
async def test_the_entrance_of_the_api_leads_to_its_documentation(set_stage: SetStage) -> None:
    stage = await set_stage()
    for path in ("/api", "/api/"):
        moved = await stage.browser().get(path)
        assert (moved.code, moved.headers["Location"]) == (303, f"{stage.url}/api/docs/")
