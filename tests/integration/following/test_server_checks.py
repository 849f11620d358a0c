"""A server checks whom it is told to watch, and serves what that brings, without a sync."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from server.app.upstream import utc_now
from server.standin import AppKind
from server.storage import following
from tests.support.client import Client
from tests.support.examples import album, albums, artist, spotify_id
from tests.support.servers import StartFreshet
from tests.support.standins import StartStandIn
from tests.support.waiting import until

HER = spotify_id("artist", 900)


@pytest.mark.gen_test
async def test_a_watched_artists_release_is_served_and_journalled_without_a_sync(
    start_standin: StartStandIn, start_freshet: StartFreshet
) -> None:
    today = utc_now().date()
    theirs = [
        album(901, artists=[artist(900)], release_date=today.isoformat()),
        album(902, artists=[artist(900)], release_date=(today - timedelta(days=900)).isoformat()),
    ]
    standin = start_standin(albums(3), kind=AppKind.RESTRICTED)
    freshet = await start_freshet(standin)
    standin.catalogue.albums.extend(theirs)
    calls = standin.calls_to("/v1/search")
    # As a command does, in a process of its own: this one hears of it by a notice.
    await freshet.database.run(following.choose, None, {HER: None}, "watched", utc_now(), "else")
    client = Client(freshet)

    async def read(path: str) -> Any:
        return orjson.loads((await client.fetch(path)).body)

    def is_served() -> bool:
        snapshot = freshet.cache.snapshot
        held = snapshot.albums if snapshot else ()
        return spotify_id("album", 901) in {each.spotify_id for each in held}

    await until(is_served, 15)
    page = await read(f"/api/artists/{HER}/")
    assert [each["spotify_id"] for each in page["albums"]] == [
        spotify_id("album", 901),
        spotify_id("album", 902),
    ]
    changes = await read("/api/changes/?after=0")
    assert [(each["kind"], each["album"]) for each in changes["items"]][3:] == [
        ("added", spotify_id("album", 901)),
        ("found", spotify_id("album", 902)),
    ]
    history = (await read(f"/api/albums/{spotify_id('album', 901)}/"))["history"]
    assert [each["source"] for each in history] == ["followed"]
    assert b'freshet_artist_checks_total{outcome="changed",way="albums"} 1.0' in (
        freshet.metrics.text()
    )
    assert standin.calls_to("/v1/search") == calls
