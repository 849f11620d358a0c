"""Every recorded answer of the real Spotify, served over HTTP as Spotify would, comes out right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tornado import web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler

from models import Album
from server.app.application import Application
from tests.support.loops import Closing
from tests.support.paths import SHARED
from tests.support.settings import MakeSettings
from tests.support.waiting import until

FOLDER = SHARED / "spotify" / "recorded"
ABSENT = "no recorded answers of Spotify's beside this checkout"


def recordings() -> list[Path]:
    """The recorded answers that hold albums under `albums`."""
    found = []
    for path in sorted([*FOLDER.glob("new-releases/*.json"), *FOLDER.glob("search/*.json")]):
        if not path.name.endswith(".headers.json") and "albums" in orjson.loads(path.read_bytes()):
            found.append(path)
    return found


CASES = [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in recordings()] or [
    pytest.param(None, id="none", marks=pytest.mark.skip(reason=ABSENT))
]


class Token(RequestHandler):
    def post(self) -> None:
        self.finish({"access_token": "recorded", "token_type": "Bearer", "expires_in": 3600})


class Recorded(RequestHandler):
    """The recording where it was made, refusals elsewhere, and nothing after its page."""

    def initialize(self, state: dict[str, Any], path: Path) -> None:
        self.state, self.path = state, path

    def get(self, endpoint: str) -> None:
        source = "new-releases" if endpoint == "browse/new-releases" else "search"
        self.set_header("Content-Type", "application/json; charset=utf-8")
        if source != self.path.parent.name:
            self.set_status(403)
            self.finish({"error": {"status": 403, "message": "Forbidden"}})
        elif self.get_query_argument("offset") == "0":
            self.finish(self.path.read_bytes())
        else:
            self.finish({"albums": {"items": [], "next": None, "total": 0}})


@pytest.fixture
def replay(make_settings: MakeSettings, closing: Closing) -> Callable[..., Any]:
    """A Freshet that takes a recording for Spotify."""

    async def start(path: Path) -> Application:
        site = web.Application(
            [
                (r"/api/token", Token),
                (r"/v1/(browse/new-releases|search)", Recorded, {"state": {}, "path": path}),
            ]
        )
        (socket,) = bind_sockets(0, "127.0.0.1")
        spotify = HTTPServer(site)
        spotify.add_socket(socket)
        closing(spotify.close_all_connections)
        address = f"http://127.0.0.1:{socket.getsockname()[1]}"
        freshet = Application(
            make_settings(
                spotify_api_url=f"{address}/v1",
                spotify_accounts_url=address,
                sync_max_releases=1000,
            )
        )
        freshet.start()

        async def stop() -> None:
            await freshet.stop()
            spotify.stop()

        closing(stop)
        await until(lambda: freshet.cache.snapshot and freshet.cache.snapshot.freshness.synced_at)
        return freshet

    return start


def expected_album(item: dict[str, Any]) -> dict[str, Any]:
    """What the contract makes of a recorded album, worked out without our parser."""
    date = item.get("release_date")
    return {
        "spotify_id": item["id"],
        "name": item["name"],
        "uri": item["uri"],
        "href": item["href"],
        "album_type": item["album_type"],
        "total_tracks": item.get("total_tracks"),
        "images": sorted(item["images"], key=lambda image: image["width"], reverse=True),
        "external_urls": item["external_urls"],
        "release_date": date,
        "release_date_precision": item.get("release_date_precision"),
        "released_on": date if item.get("release_date_precision") == "day" else None,
        "artists": [{"spotify_id": a["id"], "name": a["name"]} for a in item.get("artists", [])],
    }


def expected_artists(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The artists in the order of their latest release, and of the list where dates are equal."""
    newest_first = sorted(items, key=lambda item: item.get("release_date") or "", reverse=True)
    artists: dict[str, dict[str, Any]] = {}
    for item in newest_first:
        for artist in item.get("artists", []):
            known = artists.setdefault(artist["id"], {**artist, "albums": []})
            known["albums"].append(expected_album(item))
    return list(artists.values())


@pytest.mark.parametrize("path", CASES)
@pytest.mark.gen_test
async def test_a_recording_comes_out_field_by_field(
    path: Path, replay: Callable[..., Any], record_property: Callable[[str, object], None]
) -> None:
    items = orjson.loads(path.read_bytes())["albums"]["items"]
    freshet = await replay(path)
    http = AsyncHTTPClient(force_instance=True)
    address = f"http://127.0.0.1:{freshet.port}/api/artists/?release_limit=200"
    page = orjson.loads((await http.fetch(address)).body)
    http.close()
    wanted = expected_artists(items)
    assert [each["spotify_id"] for each in page["items"]] == [each["id"] for each in wanted]
    assert page["source"] == path.parent.name
    for got, want in zip(page["items"], wanted, strict=True):
        for field in ("name", "uri", "href", "external_urls", "type"):
            assert got[field] == want[field]
        assert got["latest_album"] == got["albums"][0]
        fields = expected_album(items[0])
        albums = [{field: album[field] for field in fields} for album in got["albums"]]
        assert albums == want["albums"]
    kept = _kept(freshet)
    assert [album.name for album in kept] == [item["name"] for item in items]
    assert [album.images for album in kept] == [expected_album(item)["images"] for item in items]
    record_property("items", len(items))
    record_property("artists", len(wanted))


def _kept(freshet: Application) -> list[Album]:
    """All albums that are in the database, those without artists too, in listing order."""
    with Session(freshet.database.engine) as session:
        return list(session.scalars(select(Album).order_by(Album.position)))
