"""`/api/albums/`, one album with its history, one artist with all that is kept, days gone by."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import orjson
import pytest

from server.catalog.query import KINDS
from server.catalog.schemas import AlbumsPage, AlbumWithHistory, Artist, ArtistsPage
from server.catalog.snapshot import HELD
from server.serving.response_store import Key
from tests.support.catalog_server import START, SetCatalogueStage
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist, spotify_id
from tests.support.settings import PUBLIC_URL


@pytest.mark.gen_test
async def test_the_latest_releases_come_newest_first_with_all_their_fields(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(n, release_date=f"2026-11-{n + 1:02}") for n in range(3)], START)
    answer = await stage.client.fetch("/api/albums/")
    page = AlbumsPage.model_validate_json(answer.body)
    assert [item.name for item in page.items] == ["Album 2", "Album 1", "Album 0"]
    assert orjson.loads(answer.body)["href"] == f"{PUBLIC_URL}/api/albums/"
    assert (await stage.client.fetch("/api/albums")).body == answer.body
    etag = answer.headers["ETag"]
    assert (await stage.client.fetch("/api/albums/", If_None_Match=etag)).code == 304


@pytest.mark.gen_test
async def test_albums_are_filtered_sorted_and_paged_as_artists_are(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    items = [album(n, name=name, available_markets=["DE"] if n else ["US"]) for n, name in
             enumerate(("Zebra", "älter", "Mitte"))]  # fmt: skip
    await stage.take(items, START)
    assert await stage.names("/api/albums/?sort=name") == ["älter", "Mitte", "Zebra"]
    assert await stage.names("/api/albums/?sort=-name&limit=2") == ["Zebra", "Mitte"]
    assert await stage.names("/api/albums/?q=ALTER") == ["älter"]
    assert await stage.names("/api/albums/?market=US") == ["Zebra"]
    page = await stage.get("/api/albums/?limit=1&include=markets")
    assert page["next"].startswith(f"{PUBLIC_URL}/api/albums/?limit=1&cursor=")
    assert page["next"].endswith("&include=markets")
    assert page["items"][0]["available_markets"] == ["US"]


@pytest.mark.gen_test
async def test_a_list_is_cut_in_the_order_asked_for(set_catalogue_stage: SetCatalogueStage) -> None:
    stage = await set_catalogue_stage()
    many = [album(n, name=f"Album {n:02}", release_date=f"2026-10-{n + 1:02}") for n in range(30)]
    await stage.take(many, START)
    old = album(70, name="Old", release_date="1999-12-31", artists=[artist(0), artist(70)])
    await stage.take([old, *many], START + timedelta(hours=1))
    newest = [f"Album {n:02}" for n in range(29, -1, -1)]
    assert await stage.names("/api/albums/") == newest[:20]
    assert await stage.names("/api/albums/?sort=-seen") == ["Old", *newest[:10:-1]]
    assert await stage.names("/api/albums/?sort=released") == ["Old", *newest[:10:-1]]
    assert await stage.names("/api/albums/?sort=seen&release_limit=2") == newest[:2]
    assert await stage.names("/api/albums/?sort=name&release_limit=2") == ["Album 00", "Album 01"]
    assert await stage.names("/api/albums/?sort=-name&release_limit=2") == ["Old", "Album 29"]
    page = await stage.get("/api/artists/?sort=-seen&release_limit=2")
    listed = {item["name"]: [each["name"] for each in item["albums"]] for item in page["items"]}
    assert listed == {"Artist 0": ["Album 00", "Old"], "Artist 70": ["Old"]}
    assert page["items"][0]["latest_album"]["name"] == "Album 00"


@pytest.mark.gen_test
async def test_a_page_reaches_all_that_is_in_memory(set_catalogue_stage: SetCatalogueStage) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(62), START)
    page = await stage.get("/api/albums/?limit=200")
    assert (page["count"], page["total"], page["next"]) == (62, 62, None)
    assert (await stage.get("/api/albums/"))["total"] == 20
    assert (await stage.get("/api/albums/?offset=0"))["count"] == 62
    assert (await stage.get("/api/albums/?release_limit=30&limit=200"))["total"] == 30
    for path in ("/api/albums/", "/api/artists/", "/feeds/albums.json"):
        visited: list[str] = []
        href: str | None = f"{path}?limit=20"
        while href:
            page = await stage.get(href)
            visited += [item.get("spotify_id") or item["id"] for item in page["items"]]
            following = urlsplit(page.get("next", page.get("next_url")) or "")
            href = following.path and f"{following.path}?{following.query}"
        assert len(visited) == len(set(visited)) == 62, path


@pytest.mark.gen_test
async def test_a_day_gone_by_is_reached_whole(set_catalogue_stage: SetCatalogueStage) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(560), START)
    await stage.take(albums(1, first=900), START + timedelta(days=1))
    page = await stage.get("/api/albums/?at=2026-11-01&limit=500&offset=500")
    assert (page["count"], page["total"]) == (60, 560)
    assert (await stage.get("/api/albums/?offset=1"))["total"] == HELD.overall
    assert (await stage.get("/api/albums/?limit=1"))["total"] is None, "more than is in memory"


@pytest.mark.gen_test
async def test_upcoming_releases_come_when_their_day_has_come_or_when_asked_for(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage = await set_catalogue_stage()
    dates = ["2026-11-20", "2026-11-21", "2026-12", "2027", None]
    await stage.take([album(n, release_date=each) for n, each in enumerate(dates)], START)
    for path in ("/api/albums/", "/api/artists/"):
        totals = {"": 2, "exclude": 2, "include": 5, "only": 3}
        for wanted, total in totals.items():
            query = f"?upcoming={wanted}" if wanted else ""
            assert (await stage.get(f"{path}{query}"))["total"] == total, wanted
    page = await stage.get("/api/albums/?upcoming=only&sort=released")
    assert [each["release_date"] for each in page["items"]] == dates[1:4]
    assert page["href"].endswith("/api/albums/?upcoming=only&sort=released")
    answer = await stage.client.fetch("/api/albums/?upcoming=no")
    assert [each["parameter"] for each in orjson.loads(answer.body)["errors"]] == ["upcoming"]
    clock.moment = datetime(2026, 12, 1, tzinfo=UTC)
    await stage.freshet.cache.refresh()
    assert (await stage.get("/api/albums/"))["total"] == 4
    page = await stage.get("/api/albums/?sort=-seen")
    assert [each["release_date"] for each in page["items"][:2]] == ["2026-12", "2026-11-21"]


@pytest.mark.gen_test
async def test_a_bad_query_is_a_problem_that_names_it(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(1), START)
    answer = await stage.client.fetch("/api/albums/?at=2026-02-30&limit=0")
    assert answer.code == 400
    assert [each["parameter"] for each in orjson.loads(answer.body)["errors"]] == ["limit", "at"]


@pytest.mark.gen_test
async def test_a_day_gone_by_shows_what_was_listed_then(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(1), album(2)], START)
    await stage.take([album(2), album(3)], START + timedelta(days=2))
    await stage.take([album(3)], START + timedelta(days=4))
    days = {
        "2026-11-01": ["Album 1", "Album 2"],
        "2026-11-02": ["Album 1", "Album 2"],
        "2026-11-03": ["Album 1", "Album 2", "Album 3"],
        "2026-11-04": ["Album 2", "Album 3"],
        "2026-11-05": ["Album 2", "Album 3"],
        "2026-11-06": ["Album 3"],
    }
    for day, names in days.items():
        assert sorted(await stage.names(f"/api/albums/?at={day}")) == names, day
    assert (await stage.client.fetch("/api/albums/?at=2026-10-31")).code == 400
    page = await stage.get("/api/artists/?at=2026-11-02&sort=name")
    assert [item["name"] for item in page["items"]] == ["Artist 1", "Artist 2"]
    ArtistsPage.model_validate(page)
    assert page["href"] == f"{PUBLIC_URL}/api/artists/?at=2026-11-02&sort=name"


@pytest.mark.gen_test
async def test_a_day_gone_by_begins_and_ends_in_the_zone_that_is_asked_for(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage = await set_catalogue_stage()
    clock.moment = START + timedelta(days=5)
    await stage.take([album(1)], START)  # noon in UTC
    await stage.take([album(2)], START + timedelta(days=2, hours=6))
    days = {
        "at=2026-11-02&tz=Pacific/Kiritimati": ["Album 1"],
        "at=2026-11-03&tz=Pacific/Kiritimati": ["Album 1"],
        "at=2026-11-04&tz=Pacific/Kiritimati": ["Album 1", "Album 2"],
        "at=2026-11-05&tz=Pacific/Kiritimati": ["Album 2"],
        "at=2026-11-01&tz=America/New_York": ["Album 1"],
        "at=2026-11-03&tz=America/New_York": ["Album 1", "Album 2"],
        "at=2026-11-04&tz=America/New_York": ["Album 2"],
    }
    for wanted, names in days.items():
        assert sorted(await stage.names(f"/api/albums/?upcoming=include&{wanted}")) == names, wanted
    early = await stage.client.fetch("/api/albums/?at=2026-11-01&tz=Pacific/Kiritimati")
    assert early.code == 400, "where it was the second when Freshet began"


@pytest.mark.gen_test
async def test_of_a_day_to_come_nothing_is_known(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(1)], START)
    clock.moment = datetime(2026, 11, 3, 23, 59, 59, tzinfo=UTC)
    for path in KINDS:
        assert (await stage.client.fetch(f"{path}?at=2026-11-03")).code == 200, path
        answer = await stage.client.fetch(f"{path}?at=2026-11-04&limit=0")
        assert answer.code == 400, path
        limit, at = orjson.loads(answer.body)["errors"]
        assert limit["parameter"] == "limit"
        reason = "must not be after today (2026-11-03 in UTC)"
        assert at == {"parameter": "at", "value": "2026-11-04", "reason": reason}, path
    clock.forward(seconds=1)
    for path in KINDS:
        assert (await stage.client.fetch(f"{path}?at=2026-11-04")).code == 200, path


@pytest.mark.gen_test
async def test_of_artists_everything_is_listed_even_what_is_not_in_memory(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage = await set_catalogue_stage()
    both = [artist(9001), artist(9002)]
    old = [album(5000 + n, artists=both[: 1 + n % 2], release_date=f"201{n}") for n in range(6)]
    await stage.take(old, START)
    await stage.take(albums(HELD.overall), START + timedelta(days=1))
    assert "Album 5001" not in await stage.names("/api/albums/?offset=0&sort=released")
    one, two, none = (spotify_id("artist", number) for number in (9001, 9002, 9003))
    names = [f"Album 500{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert await stage.names(f"/api/albums/?artist={one}") == names
    assert await stage.names(f"/api/albums/?artist={two}") == names[::2]
    assert await stage.names(f"/api/albums/?artist={two},{none}&limit=2") == names[:4:2]
    assert await stage.names(f"/api/albums/?artist={one}&released_before=2012") == names[3:]
    assert await stage.names(f"/api/albums/?artist={none}") == []
    page = await stage.get(f"/api/artists/?artist={two}")
    assert [item["name"] for item in page["items"]] == ["Artist 9002"], "not who is beside it"
    ArtistsPage.model_validate(page)
    await stage.take([*old, album(6000, artists=both)], START + timedelta(days=2))
    assert (await stage.names(f"/api/albums/?artist={two}"))[0] == "Album 6000"


@pytest.mark.gen_test
async def test_one_album_tells_its_markets_and_when_it_was_listed(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    one = album(1, available_markets=["DE", "US"])
    await stage.take([one], START)
    await stage.take([album(2)], START + timedelta(days=1))
    await stage.take([album(2), one], START + timedelta(days=2), market="DE")
    path = f"/api/albums/{spotify_id('album', 1)}/"
    content = await stage.get(path)
    AlbumWithHistory.model_validate(content)
    assert (content["name"], content["available_markets"]) == ("Album 1", ["DE", "US"])
    assert content["history"] == [
        {
            "source": "search",
            "market": "DE",
            "position": 1,
            "since": "2026-11-03T12:00:00Z",
            "until": None,
        },
        {
            "source": "search",
            "market": None,
            "position": 0,
            "since": "2026-11-01T12:00:00Z",
            "until": "2026-11-02T12:00:00Z",
        },
    ]
    assert await stage.get(path.rstrip("/")) == content


@pytest.mark.gen_test
async def test_one_artist_comes_with_all_releases_that_are_kept(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    both = [artist(7), artist(8)]
    await stage.take([album(1, artists=both, release_date="2025-01-01")], START)
    await stage.take([album(2, artists=[artist(7)])], START + timedelta(days=1))
    content = await stage.get(f"/api/artists/{spotify_id('artist', 7)}/")
    Artist.model_validate(content)
    assert [each["name"] for each in content["albums"]] == ["Album 2", "Album 1"]
    assert content["latest_album"] == content["albums"][0]
    other = await stage.get(f"/api/artists/{spotify_id('artist', 8)}")
    assert [each["name"] for each in other["albums"]] == ["Album 1"]


@pytest.mark.gen_test
async def test_one_artist_is_found_by_both_ids_of_a_list(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    digits = {**artist(9), "id": "1" * 22}  # an id of Spotify's, though it looks like a number
    await stage.take([album(1, artists=[artist(7)]), album(2, artists=[digits])], START)
    for item in (await stage.get("/api/artists/"))["items"]:
        for path in ("/api/artists/", "/artists/"):
            asked = f"{path}{item['spotify_id']}/", f"{path}{item['id']}/", f"{path}{item['id']}"
            by_spotify, by_ours, twin = [await stage.client.fetch(each) for each in asked]
            assert by_ours.code == twin.code == 200, asked
            assert by_ours.body == twin.body == by_spotify.body, asked
    page = await stage.client.fetch(f"/api/artists/{item['id']}/")
    assert orjson.loads(page.body)["spotify_id"] == item["spotify_id"]
    etag = page.headers["ETag"]
    known = await stage.client.fetch(f"/api/artists/{item['id']}/", If_None_Match=etag)
    assert (known.code, known.body) == (304, b"")


@pytest.mark.gen_test
async def test_an_id_of_ours_that_nobody_has_is_not_found(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(1), START)
    largest, id_of_album = 2**63 - 1, (await stage.get("/api/albums/"))["items"][0]["id"]
    for odd in ("0", "987654321", "01", "-1", "1.0", "+1", largest, largest + 1, 10**19, 10**20):
        answer = await stage.client.fetch(f"/api/artists/{odd}/")
        assert (answer.code, orjson.loads(answer.body)["title"]) == (404, "Not Found"), odd
    assert (await stage.client.fetch(f"/api/albums/{id_of_album}/")).code == 404


@pytest.mark.gen_test
async def test_an_artist_by_our_id_is_kept_until_the_next_sync(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(1, artists=[artist(7)])], START)
    (item,) = (await stage.get("/api/artists/"))["items"]
    path = f"/api/artists/{item['id']}/"
    kept: Key = (path.rstrip("/"), "identity")
    async with asyncio.timeout(30):
        first = await stage.get(path)
        while stage.freshet.cache.responses.get(kept) is None:  # the sync's notice was on its way
            assert await stage.get(path) == first
    await stage.take([album(1, name="Renamed", artists=[artist(7)])], START + timedelta(hours=1))
    assert [each["name"] for each in (await stage.get(path))["albums"]] == ["Renamed"]


@pytest.mark.gen_test
async def test_what_is_not_there_is_404_and_other_methods_405(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(1), START)
    for kind in ("artists", "albums"):
        answer = await stage.client.fetch(f"/api/{kind}/{'x' * 22}/")
        assert (answer.code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert orjson.loads(answer.body)["type"] == "/problems/not-found"
        known = f"/api/{kind}/{spotify_id(kind.rstrip('s'), 0)}/"
        assert (await stage.client.fetch(known, "POST")).code == 405
        head = await stage.client.fetch(known, "HEAD")
        assert (head.code, head.body) == (200, b"")
    for odd in ("x" * 21, "x" * 23, "%00" * 22, "../status"):
        assert (await stage.client.fetch(f"/api/{kind}/{odd}/")).code == 404


@pytest.mark.gen_test
async def test_a_page_of_one_is_kept_until_the_next_sync(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(1)], START)
    path = f"/api/albums/{spotify_id('album', 1)}/"
    first = await stage.client.fetch(path)
    etag = first.headers["ETag"]
    assert (await stage.client.fetch(path, If_None_Match=etag)).code == 304
    await stage.take([album(1, name="Renamed")], START + timedelta(hours=1))
    again = await stage.client.fetch(path, If_None_Match=etag)
    assert (again.code, orjson.loads(again.body)["name"]) == (200, "Renamed")


@pytest.mark.gen_test
async def test_without_a_database_the_lists_go_on_and_the_rest_says_so(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    stage.freshet.database._engine = None
    assert len(await stage.names("/api/albums/")) == 3
    for path in (f"/api/albums/{spotify_id('album', 1)}/", "/api/albums/?at=2026-11-01"):
        answer = await stage.client.fetch(path)
        assert (answer.code, answer.headers["Retry-After"]) == (503, "10")
