"""`/api/changes/`: followed by number, it tells each change once and misses none."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest

from server.openapi.change_schemas import ChangesPage
from server.storage import sweeps
from tests.support.catalog_server import START, SetCatalogueStage, Stage
from tests.support.examples import album, albums, artist, spotify_id, sweep
from tests.support.release_copy import ReleaseCopy
from tests.support.waiting import until


async def journal(stage: Stage, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """All changes from one on, piece by piece."""
    told: list[dict[str, Any]] = []
    while True:
        page = await stage.get(f"/api/changes/?after={after}&limit={limit}")
        ChangesPage.model_validate(page)
        told += page["items"]
        if not page["items"]:
            assert page["next_after"] == after
            return told
        after = page["next_after"]


@pytest.mark.gen_test
async def test_each_kind_of_change_is_told_with_its_detail(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take([album(1), album(2)], START)
    await stage.take([album(1, name="Renamed")], START + timedelta(hours=1))
    told = await journal(stage)
    assert [(each["kind"], each["album"]) for each in told] == [
        ("added", spotify_id("album", 1)),
        ("added", spotify_id("album", 2)),
        ("updated", spotify_id("album", 1)),
        ("gone", spotify_id("album", 2)),
    ]
    assert told[2]["detail"] == {"name": {"old": "Album 1", "new": "Renamed"}}
    assert told[2]["at"] == "2026-11-01T13:00:00Z"
    names = [each["release"]["name"] for each in told]
    assert names == ["Album 1", "Album 2", "Renamed", "Album 2"]


@pytest.mark.gen_test
async def test_piece_by_piece_each_comes_once_and_in_order(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(7), START)
    for limit in (1, 3, 1000):
        seqs = [each["seq"] for each in await journal(stage, limit=limit)]
        assert len(seqs) == 7, limit
        assert seqs == sorted(set(seqs)), limit


@pytest.mark.gen_test
async def test_a_client_that_has_read_up_to_an_entry_gets_only_later_ones(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    last = (await journal(stage))[-1]["seq"]
    assert await journal(stage, after=last) == []
    await stage.take([*albums(3), album(9)], START + timedelta(hours=1))
    assert [each["album"] for each in await journal(stage, after=last)] == [spotify_id("album", 9)]


@pytest.mark.gen_test
async def test_the_place_of_a_list_leads_to_what_it_does_not_have(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(2), START)
    place = (await stage.get("/api/albums/?limit=1"))["place"]
    assert place == (await stage.get("/api/artists/"))["place"]
    unserved = sweep([album(0, name="Renamed"), album(2)])  # this server has not heard of it
    at = START + timedelta(hours=1)
    await stage.freshet.database.run(sweeps.record_sweep, unserved, at, lambda: at)
    assert (await stage.get("/api/albums/?offset=1"))["place"] == place
    first = await stage.get(f"/api/changes/?after={place}&include=stored&limit=2")
    ChangesPage.model_validate(first)
    assert not first["up_to_date"]
    rest = await stage.get(f"/api/changes/?after={first['place']}&include=stored")
    changes = first["items"] + rest["items"]
    assert [each["kind"] for each in changes] == ["updated", "added", "gone"]
    assert [each["stored"]["name"] for each in changes] == ["Renamed", "Album 2", "Album 1"]
    assert rest["up_to_date"]
    await stage.freshet.cache.refresh()
    listed = await stage.get("/api/albums/")
    assert rest["place"] == listed["place"]
    assert {each["spotify_id"]: each for each in listed["items"]} == {
        each["album"]: each["stored"] for each in changes
    }
    again = await stage.get(f"/api/changes/?after={rest['place']}&include=stored")
    assert (again["items"], again["place"]) == ([], rest["place"])


@pytest.mark.gen_test
async def test_the_new_name_of_an_artist_is_an_update_of_all_its_releases(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    both = [artist(1), artist(2)]
    await stage.take([album(1, artists=both), album(2, artists=both[1:]), album(3)], START)
    place = (await stage.get("/api/changes/"))["place"]
    named = [artist(2, name="Mara")]
    later = START + timedelta(hours=1)
    await stage.take([album(2, artists=named, name="Tides"), album(4, artists=named)], later)
    page = await stage.get(f"/api/changes/?after={place}&include=stored")
    ChangesPage.model_validate(page)
    names = {"old": {spotify_id("artist", 2): "Artist 2"}, "new": {spotify_id("artist", 2): "Mara"}}
    updates = {each["album"]: each for each in page["items"] if each["kind"] == "updated"}
    assert {album: each["detail"] for album, each in updates.items()} == {
        spotify_id("album", 1): {"artist_names": names},
        spotify_id("album", 2): {
            "name": {"old": "Album 2", "new": "Tides"},
            "artist_names": names,
        },
    }
    for each in updates.values():
        assert each["release"]["artists"][-1]["name"] == "Mara"
        assert each["stored"]["artists"][-1]["name"] == "Mara"


@pytest.mark.gen_test
async def test_a_date_alone_tells_what_a_follower_has_already(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    first = await stage.client.fetch("/api/changes/")
    date = first.headers["Last-Modified"]
    assert first.headers["X-Last-Sync"] == orjson.loads(first.body)["items"][-1]["at"]
    again = await stage.client.fetch("/api/changes/", If_Modified_Since=date)
    assert (again.code, again.body) == (304, b"")
    await stage.take([*albums(3), album(9)], START + timedelta(seconds=1))
    newer = await stage.client.fetch("/api/changes/", If_Modified_Since=date)
    assert (newer.code, len(orjson.loads(newer.body)["items"])) == (200, 4)
    assert newer.headers["Last-Modified"] != date


@pytest.mark.gen_test
async def test_it_is_conditional_coded_and_open_to_all(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    answer = await stage.client.fetch("/api/changes/")
    assert (answer.headers["Cache-Control"], answer.headers["Access-Control-Allow-Origin"]) == (
        "no-cache",
        "*",
    )
    etag = answer.headers["ETag"]
    assert (await stage.client.fetch("/api/changes", If_None_Match=etag)).code == 304
    coded = await stage.client.fetch("/api/changes/", Accept_Encoding="br")
    assert coded.headers["Content-Encoding"] == "br"
    head = await stage.client.fetch("/api/changes/", "HEAD")
    assert (head.code, head.body) == (200, b"")
    assert (await stage.client.fetch("/api/changes/", "POST")).code == 405


@pytest.mark.gen_test
async def test_a_bad_value_is_a_problem_that_names_it(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    big = "99999999999999999"
    for query in ("after=-1", "after=x", f"after={big}", "limit=0", "limit=1001", "after="):
        answer = await stage.client.fetch(f"/api/changes/?{query}")
        assert answer.code == 400, query
        (fault,) = orjson.loads(answer.body)["errors"]
        assert fault["parameter"] == query.partition("=")[0]


@pytest.mark.gen_test
async def test_without_a_database_it_says_when_to_come_again(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    stage.freshet.database._engine = None
    answer = await stage.client.fetch("/api/changes/")
    assert (answer.code, answer.headers["Retry-After"]) == (503, "10")


class CountingCopy(ReleaseCopy):
    """The client of the guide; counts its requests for changes."""

    requests = 0

    def changes(self, place: str, limit: int) -> Any:
        self.requests += 1
        return super().changes(place, limit)


@pytest.mark.gen_test
async def test_the_client_of_the_guide_reads_a_burst_of_changes_once(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(1), START)
    copy = CountingCopy(f"http://127.0.0.1:{stage.freshet.port}")
    told = copy.follow()

    async def hear(count: int) -> list[str]:
        return [(await asyncio.to_thread(next, told))["album"] for _ in range(count)]

    try:
        hearing = asyncio.create_task(hear(8))
        await until(lambda: stage.freshet.broadcast.listeners)
        before = copy.requests
        await stage.take(albums(9), START + timedelta(hours=1))
        assert len(set(await hearing)) == 8
        assert (copy.requests - before, len(copy.releases)) == (1, 9)
        await stage.take(albums(10), START + timedelta(hours=2))
        assert await hear(1) == [album(9)["id"]]
        assert (copy.requests - before, len(copy.releases)) == (2, 10)
    finally:
        copy.closed = True  # or its thread would go on for ever
