"""A server behind one of the programs of `tests.support.proxies`, for all tests of a module."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from server.app.application import Application
from server.standin import AppKind, Catalogue, StandIn
from tests.support.databases import NewDatabase
from tests.support.examples import albums
from tests.support.loops import own_loop
from tests.support.ports import free_port
from tests.support.proxies import Caddy, Front, HAProxy, HttpClient, Nginx, Varnish
from tests.support.raw_http import quiet
from tests.support.settings import settings_for
from tests.support.waiting import until

PROGRAMS: dict[str, Callable[[Path, int], Front]] = {
    "nginx": Nginx,
    "haproxy": HAProxy,
    "varnish": Varnish,
    "caddy": Caddy,
}
STRANGER = "127.0.0.9"  # an address of this machine that is no proxy's


class ProxiedServer:
    """One program in front of one server, whose database is at `url`."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, url: URL) -> None:
        self.name, self.run, self.url = name, loop.run_until_complete, url

    async def start(self, folder: Path, access_log: str) -> None:
        self.standin = StandIn(
            kind=AppKind.EXTENDED, catalogue=Catalogue(albums(5), recent_days=None)
        )
        self.standin.start()
        port = free_port()
        self.front: Front = PROGRAMS[self.name](folder, port)
        self.freshet = Application(
            settings_for(
                self.url,
                self.standin,
                port=port,
                public_url=f"http://127.0.0.1:{self.front.port}",
                trusted_proxies="127.0.0.1",
                access_log=access_log,
                cache_max_age=1,
            )
        )
        redirect = self.freshet.settings.redirect_uri
        self.standin.world.redirect_uris = (*self.standin.world.redirect_uris, redirect)
        self.freshet.start()
        await until(self._is_settled)
        await self.front.start()
        self.direct = HttpClient(port)

    def _is_settled(self) -> bool:
        """Return whether the first sync is served, with the details of its artists."""
        snapshot = self.freshet.cache.snapshot
        if snapshot is None or snapshot.freshness.synced_at is None:
            return False
        artists = [artist for album in snapshot.albums for artist in album.artists]
        return not any(b'"genres":null' in artist.json for artist in artists)

    async def stop(self) -> None:
        await self.front.stop()
        await self.freshet.stop()
        await self.standin.stop()

    async def from_stranger(self, *lines: str) -> str:
        """Send one request from an address that is not a proxy; returns the response."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.front.port, local_addr=(STRANGER, 0)
        )
        more = [f"Host: 127.0.0.1:{self.front.port}", "Connection: close", "", ""]
        writer.write("\r\n".join([*lines, *more]).encode())
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer.decode("latin-1")


def proxied_server(programs: Iterable[str], access_log: str = "all") -> Any:
    """Make a module-scoped fixture: each of these programs in turn, and a server behind it.

    With the access log off, background work is stopped too, so that responses can be compared.
    """

    @pytest.fixture(params=programs, scope="module")
    def proxied(
        request: pytest.FixtureRequest,
        new_database: NewDatabase,
        migrated: str,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Iterator[ProxiedServer]:
        folder = tmp_path_factory.mktemp(request.param)
        with (
            new_database(migrated) as url,
            own_loop() as loop,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("HOME", str(folder))  # where Caddy keeps its own
            proxied = ProxiedServer(request.param, loop, url)
            loop.run_until_complete(proxied.start(folder, access_log))
            if access_log == "off":
                loop.run_until_complete(quiet(proxied.freshet))
            yield proxied
            loop.run_until_complete(proxied.stop())

    return proxied
