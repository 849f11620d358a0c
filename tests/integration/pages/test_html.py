"""Every page in each of its states is valid HTML, as the Nu checker sees it.

The checker is Java (npm: vnu-jar). Where it is missing the test is skipped, but never in CI, which
installs it (`.ci/run`).
"""

import asyncio
import json
import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server.config.settings import DemoSettings
from server.openapi import problem_kinds
from server.spotify.limits.cooldown import Cooldown
from server.standin import Answer
from tests.support.clock import Clock
from tests.support.examples import album, artist, spotify_id
from tests.support.login_browser import Browser, SetStage
from tests.support.paths import ROOT
from tests.support.rate_limiters import STORE
from tests.support.standins import StartStandIn
from tests.support.waiting import until

JAR = ROOT / "build" / "vnu" / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
RELEASES = "/v1/browse/new-releases"
HTML = "text/html,*/*;q=0.8"
FOUL = "<script>alert(1)</script>\"'&amp; ‮ \u0301"
LAN = "http://raspberrypi.local:5000"
BROKEN = "broken-on-purpose"
SOON_OVER = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # half the CPU time of optimizing
NO_CHECKER = "no Nu checker: it takes java, and make build/vnu"


def mixed() -> list[dict[str, Any]]:
    """Releases that pages have to take care with."""
    dates = ("2026-11-20", "2026-11", "2026", "0000", "2027-01-01", "2026-11-19")
    items = [
        album(
            n,
            name=FOUL if n == 1 else f"Album {n}",
            release_date=day,
            release_date_precision={4: "year", 7: "month", 10: "day"}[len(day)],
            artists=[artist(n, name=FOUL), *(artist(50 + i) for i in range(n))],
            available_markets=["DE", "US"] if n % 2 else [],
            images=[] if n == 2 else album(n)["images"],
            external_urls={} if n == 3 else album(n)["external_urls"],
        )
        for n, day in enumerate(dates)
    ]
    return items + [album(100 + n) for n in range(60)]


class Collection:
    """Pages as files, each named after what it shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    async def take(self, browser: Browser, *paths: str, state: str = "") -> None:
        """Keep the pages at these addresses."""
        for path in paths:
            response = await browser.get(path, Accept=HTML)
            kind = response.headers["Content-Type"]
            assert kind == "text/html; charset=utf-8", (path, kind)
            self.keep(f"{state} {path}", response.body)

    def keep(self, name: str, page: bytes) -> None:
        number = len(list(self.folder.iterdir()))
        plain = "".join(each if each.isalnum() else "-" for each in name)[:80]
        (self.folder / f"{number:03}-{plain}.html").write_bytes(page)

    def faults(self) -> list[str]:
        """What the checker has to say against them."""
        java = shutil.which("java")
        assert java is not None
        options = (*SOON_OVER, "-Xss2m", "-jar", str(JAR), "--format", "json")
        command = [java, *options, str(self.folder)]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        messages = json.loads(checked.stderr)["messages"]
        return [
            f"{each.get('url', '').rpartition('/')[2]}:{each.get('lastLine')} {each['message']}"
            for each in messages
            if each["type"] != "info" or each.get("subType") == "warning"
        ]


async def before_the_first_sync(set_stage: SetStage, pages: Collection) -> None:
    stage = await set_stage()
    await pages.take(stage.browser(), "/", "/status", state="idle")
    stage.standin.misbehave("502", times=None)
    failing = await set_stage(stage.standin, sync_interval=1800)
    await until(lambda: failing.freshet.upstream_status.history.outcome == "failed")
    await pages.take(failing.browser(), "/", "/status", state="failed")
    stage.standin.behave()


async def with_releases(
    set_stage: SetStage, start_standin: Any, clock: Any, pages: Collection
) -> None:
    standin = start_standin(mixed(), clock=clock)
    stage = await set_stage(standin, sync_source="new-releases", sync_markets="DE,US")
    await stage.freshet.syncer.sync()
    stranger, owner = stage.browser(), stage.browser()
    await pages.take(
        stranger,
        *("/", "/?offset=48", "/?offset=999", "/?q=nothing", "/?at=2026-11-20", "/?at=1999-01-01"),
        *("/?upcoming=include", "/?sort=name&type=single&exclude=versions&market=DE&q=a", "/?at=x"),
        *(f"/artists/{spotify_id('artist', n)}/" for n in (0, 2, 3, 7)),
        *(
            "/status",
            "/api/docs/",
            "/nowhere",
            "/auth/callback/",
            "/auth/callback/?error=x&state=y",
        ),
        *("/auth/logout/", f"/?q={'a' * 5000}"),
        *(f"/problems/{each.kind}" for each in problem_kinds.ALL),
    )
    await owner.log_in()
    await pages.take(owner, "/", "/status", state="owner")
    answered = asyncio.Event()
    standin.answer_next(RELEASES, Answer(200, {"albums": {"items": []}}, held=answered))
    assert (await owner.post("/status")).code == 303
    await pages.take(owner, "/status", state="running")
    answered.set()
    await until(lambda: not stage.freshet.syncer.is_running)
    cooldown = Cooldown(clock(), clock() + timedelta(minutes=10), "429 Too many requests")
    await stage.freshet.database.run(STORE.store_cooldown, RELEASES.removeprefix("/v1"), cooldown)
    await stage.freshet.upstream_status.load()
    for state, days in (("paused", 0), ("soon", 160), ("ended", 40)):
        clock.forward(days=days)
        await pages.take(owner, "/", "/status", state=state)


async def elsewhere(set_stage: SetStage, pages: Collection) -> None:
    """The demo, a server at home, and the pages of the stand-in."""
    demo = await set_stage(kind=DemoSettings)
    await pages.take(demo.browser(), "/", "/status", "/setup", "/nowhere", state="demo")
    home = await set_stage(demo.standin, public_url=LAN)
    await pages.take(home.browser(), "/", "/auth/login/", state="home")
    visitor = demo.browser()
    consent = await visitor.begin()
    release = demo.standin.accounts_url
    await pages.take(visitor, consent, f"{release}/", f"{release}/open/album/x", state="stand-in")
    await pages.take(visitor, f"{release}/authorize?client_id=x", state="stand-in")


@pytest.mark.gen_test(timeout=60)
async def test_every_page_is_valid_html(
    set_stage: SetStage, start_standin: StartStandIn, clock: Clock, tmp_path: Path
) -> None:
    if not JAR.exists() or shutil.which("java") is None:
        if os.environ.get("CI"):
            pytest.fail(NO_CHECKER)
        pytest.skip(NO_CHECKER)
    pages = Collection(tmp_path / "pages")
    await before_the_first_sync(set_stage, pages)
    await with_releases(set_stage, start_standin, clock, pages)
    await elsewhere(set_stage, pages)
    assert len(list(pages.folder.iterdir())) > 60
    pages.keep(BROKEN, b"<!doctype html><html lang=en><title>x</title><p aria-lable=x></div>")
    faults = pages.faults()
    assert [each for each in faults if BROKEN not in each] == []
    assert len(faults) == 2, "the checker sees what is wrong"
