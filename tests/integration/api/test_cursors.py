"""Everything kept is reached by following `next`, whatever syncs do meanwhile."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from sqlalchemy import text

from server.catalog.snapshot import HELD
from tests.support.catalog_server import START, SetCatalogueStage, Stage
from tests.support.clock import Clock
from tests.support.examples import album, albums, artist

MANY = HELD.overall + 60


def path_of(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.path}?{parts.query}" if url else ""


async def follow(stage: Stage, path: str, *, syncing: bool = False) -> tuple[list[str], int]:
    """Return the ids of all items, and how many pages there were."""
    seen: list[str] = []
    pages = 0
    while path:
        page = await stage.get(path)
        seen += [item["spotify_id"] for item in page["items"]]
        pages += 1
        path = path_of(page["next"])
        if syncing:
            at = START + timedelta(days=2, hours=pages)
            changed = [album(n, name=f"Other {n}", release_date="2020") for n in range(0, MANY, 50)]
            await stage.take([album(9000 + pages), *changed], at)
    return seen, pages


@pytest.mark.gen_test
async def test_next_leads_through_everything_in_every_order(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    both = [artist(n % 7 + 5000) for n in range(MANY)]
    many = [album(n, artists=[artist(n), both[n]]) for n in range(MANY)]
    await stage.take(many, START)
    everything = {each["id"] for each in many}
    page = await stage.get("/api/albums/?limit=200")
    assert (page["total"], page["offset"], page["previous"]) == (None, 0, None)
    again = await stage.get(path_of(page["next"]))
    assert again["href"] == page["next"]
    assert path_of(again["href"]).startswith("/api/albums/?limit=200&cursor=")
    for path in ("/api/albums/?limit=200", "/api/albums/?limit=200&sort=name"):
        seen, pages = await follow(stage, path)
        assert sorted(seen) == sorted(everything)
        assert pages == 3
    seen, _ = await follow(stage, "/api/artists/?limit=200&sort=-seen")
    assert len(seen) == len(set(seen)) == MANY + 7
    seen, _ = await follow(stage, "/api/albums/?limit=100&q=ALBUM+55")
    assert len(seen) == 11, "what is not in memory is found, too"
    seen, _ = await follow(stage, "/api/albums/?limit=200&sort=released", syncing=True)
    assert sorted(seen) == sorted(everything), "all that was there at the start, and nothing else"


@pytest.mark.gen_test
async def test_pages_with_a_cursor_are_for_caches_but_take_no_memory_here(
    set_catalogue_stage: SetCatalogueStage,
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(MANY), START)
    path = path_of((await stage.get("/api/albums/?limit=10"))["next"])
    first, second = [await stage.client.fetch(path) for _ in range(2)]
    deep = path
    for _ in range(2):
        deep = path_of((await stage.get(deep.replace("limit=10", "limit=300")))["next"])
    query_string = path.partition("?")[2]
    assert stage.freshet.cache.peek("/api/albums/", query_string, "identity") is None
    assert first.headers["ETag"] == second.headers["ETag"]
    assert first.headers["Cache-Control"].startswith("public, max-age=")
    assert 'rel="next"' in first.headers["Link"]
    etag = first.headers["ETag"]
    assert (await stage.client.fetch(path, If_None_Match=etag)).code == 304
    assert not deep, "the last page has no next"


@pytest.mark.gen_test
async def test_a_cursor_of_another_query_time_or_database_is_a_400_that_says_where_to_begin(
    set_catalogue_stage: SetCatalogueStage, clock: Clock
) -> None:
    stage = await set_catalogue_stage()
    await stage.take(albums(3), START)
    url = (await stage.get("/api/albums/?limit=1"))["next"]

    async def reason(path: str) -> Any:
        answer = await stage.client.fetch(path)
        assert answer.code == 400
        problem = orjson.loads(answer.body)
        assert problem["type"].endswith("/problems/invalid-parameter")
        (fault,) = problem["errors"]
        assert fault["parameter"] == "cursor"
        return fault["reason"]

    path, root = path_of(url), stage.freshet.settings.public_url
    anew = (await reason("/api/albums/?q=ALBUM&sort=name&cursor=hello")).partition(" anew at ")[2]
    assert anew == f"{root}/api/albums/?limit=100&q=album&sort=name"
    assert (await stage.get(path_of(anew).replace("=100", "=1")))["next"], "it leads on"
    bare = await stage.client.fetch(path.replace("limit=1&", ""))
    assert f'<{root}/api/albums/?limit=100>; rel="first"' in bare.headers["Link"]
    begin = f"begin anew at {root}/api/albums/?limit=1"
    assert "another query" in await reason(f"{path}&type=album")
    assert "another query" in await reason(path.replace("albums", "artists"))
    assert (await reason("/api/albums/?limit=1&cursor=made-up")).endswith(begin)
    with stage.freshet.database.engine.begin() as connection:
        connection.execute(text("TRUNCATE albums RESTART IDENTITY CASCADE"))
    await stage.freshet.cache.refresh()
    assert "this database" in await reason(path)
    clock.forward(days=9)
    assert await reason(path) == f"has expired; {begin}"
