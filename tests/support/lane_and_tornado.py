"""Two servers with the same answers, one with the fast lane and one without."""

import asyncio
import re
from collections.abc import Iterator

import pytest
import uvloop
from sqlalchemy import URL

from server.app import routes
from server.app.application import Application
from server.app.serving import Refuser
from server.http.forwarded import TrustedProxies
from server.http.server import WebServer
from server.observability.access_log import AccessLog
from server.standin import AppKind, Catalogue, StandIn
from tests.support.databases import NewDatabase
from tests.support.examples import albums, spotify_id
from tests.support.http_client import new_client
from tests.support.loops import own_loop
from tests.support.raw_http import exchange, quiet
from tests.support.settings import settings_for
from tests.support.waiting import until

LAST = b"GET /healthz HTTP/1.1\r\nHost: freshet\r\nConnection: close\r\n\r\n"
WARM = (
    "/api/artists/",
    "/api/artists",
    "/api/artists/?limit=2",
    "/api/albums/?sort=name",
    "/feeds/albums.atom",
    "/feeds/albums.csv?limit=1",
    f"/api/artists/{spotify_id('artist', 1)}/",
    "/api/artists/1/",
    "/api/artists/2",
    f"/api/albums/{spotify_id('album', 1)}",
)


class Pair:
    """The same server twice, with the fast lane and without it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, url: URL) -> None:
        self.loop = loop
        self._url = url

    async def start(self) -> None:
        catalogue = Catalogue(albums(5), recent_days=None)
        self.standin = StandIn(kind=AppKind.EXTENDED, catalogue=catalogue)
        self.standin.start()
        self.freshet = Application(settings_for(self._url, self.standin, access_log="off"))
        self.freshet.start()
        snapshot = self.freshet.cache
        await until(lambda: snapshot.snapshot and snapshot.snapshot.freshness.synced_at)
        await quiet(self.freshet)
        elsewhere = routes.not_found(self.freshet.pages)
        log = AccessLog("off")
        self.plain = WebServer(
            self.freshet.routes(), log, elsewhere, refuse=Refuser("", log, TrustedProxies())
        )
        self.plain_port = self.plain.listen("127.0.0.1", 0)
        self.plain.open()
        await self.warm()

    async def warm(self) -> None:
        client = new_client()
        for path in WARM:
            for coding in ("br", "gzip", "identity"):
                address = f"http://127.0.0.1:{self.plain_port}{path}"
                headers = {"Accept-Encoding": coding}
                await client.fetch(address, headers=headers, decompress_response=False)
        client.close()

    async def stop(self) -> None:
        await self.plain.close()
        await self.freshet.stop()
        await self.standin.stop()

    def ask(self, *pieces: bytes, quiet: float = 0.25) -> bytes:
        """Check that both servers answer alike; returns the answer.

        If they differ, both are asked again with a longer timeout: one may have been busy.
        """

        async def both(quiet: float) -> tuple[bytes, bytes]:
            return await asyncio.gather(
                exchange(self.freshet.port, pieces, quiet), exchange(self.plain_port, pieces, quiet)
            )

        for patience in (quiet, 2.0, 8.0):
            ours, theirs = self.loop.run_until_complete(both(patience))
            if ours == theirs:
                break
        assert ours == theirs
        return ours

    @property
    def hits(self) -> int:
        """Return how many answers the lane has sent."""
        assert self.freshet.head_cache is not None
        self.freshet.head_cache.tick()
        text = self.freshet.metrics.text().decode()
        return sum(int(float(count)) for count in re.findall(r'by="lane".* (.+)', text))


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def pair(
    request: pytest.FixtureRequest, new_database: NewDatabase, migrated: str
) -> Iterator[Pair]:
    new_loop = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with new_database(migrated) as url, own_loop(new_loop) as loop:
        made = Pair(loop, url)
        loop.run_until_complete(made.start())
        yield made
        loop.run_until_complete(made.stop())
