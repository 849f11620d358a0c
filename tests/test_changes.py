"""The journal over HTTP: page by page, each change once, in order."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from server.app import Freshet
from server.catalog import journal, store
from server.catalog.change_shapes import ChangesPage
from server.catalog.entry import Entry
from server.catalog.retention import clear_batch
from server.database import Database
from tests.client import Client
from tests.conftest import until
from tests.examples import album, albums, spotify_id, sweep

PROBLEM = "application/problem+json"


def now() -> datetime:
    return datetime.now(UTC)


def happen(database: Database, items: list[Any]) -> None:
    """A sync of another process that met these albums."""
    with Session(database.engine) as session, session.begin():
        store.record_sweep(session, sweep(items), now(), now)


def journal_of(database: Database) -> list[Entry]:
    with Session(database.engine) as session:
        return journal.read(session, 0, 1_000_000)


@pytest.fixture
def client(
    make_settings: Callable[..., Any], launch_freshet: Callable[..., Freshet], closing: Any
) -> Callable[..., Any]:
    async def start() -> Client:
        client = Client(launch_freshet(make_settings(sync_interval=0)))
        await until(lambda: all(timer.is_running() for timer in client.freshet.timers))

        async def close() -> None:
            client.http.close()

        closing(close)
        return client

    return start


async def page_of(client: Client, query: str) -> dict[str, Any]:
    answer = await client.fetch(f"/api/changes/{query}")
    assert answer.code == 200, answer.body
    ChangesPage.model_validate_json(answer.body)
    page: dict[str, Any] = orjson.loads(answer.body)
    return page


@pytest.mark.gen_test
async def test_paging_by_next_after_gives_each_change_once(
    client: Any, database: Database, clock: Any
) -> None:
    happen(database, albums(20))
    happen(database, [album(0, name="Other name"), *albums(19, first=1)])
    happen(database, albums(10))
    with Session(database.engine) as session, session.begin():
        session.execute(text("UPDATE albums SET last_seen_at = '2020-01-01' WHERE id % 2 = 0"))
        clear_batch(session, now(), timedelta(days=90))
    server = await client()
    told, after = [], 0
    while True:
        page = await page_of(server, f"?after={after}&limit=7")
        if not page["items"]:
            break
        assert len(page["items"]) <= 7
        assert page["next_after"] == page["items"][-1]["seq"] > after
        told += page["items"]
        after = page["next_after"]
    assert page["next_after"] == after
    assert [each["seq"] for each in told] == [each.seq for each in journal_of(database)]
    assert {each["kind"] for each in told} == {"added", "updated", "gone", "deleted"}
    assert (await page_of(server, "?limit=1000"))["items"] == told
    (renamed, *_) = [each for each in told if each["kind"] == "updated"]
    assert renamed["album"] == spotify_id("album", 0)
    assert renamed["detail"]["name"] == {"old": "Album 0", "new": "Other name"}
    assert renamed["at"].endswith("Z")


@pytest.mark.gen_test
async def test_a_page_is_one_statement_and_has_100_changes_unless_asked_otherwise(
    client: Any, database: Database
) -> None:
    happen(database, albums(120))
    server = await client()
    statements: list[str] = []
    engine = server.freshet.database.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert len((await page_of(server, ""))["items"]) == 100
    (statement,) = statements
    assert "WHERE changes.seq >" in statement, "by the primary key"
    assert "ORDER BY changes.seq" in statement
    assert len((await page_of(server, "?limit=1&unknown=1"))["items"]) == 1
    last = await page_of(server, f"?after={2**63 - 1}")
    assert last == {"items": [], "next_after": 2**63 - 1}


@pytest.mark.gen_test
async def test_every_fault_of_a_query_is_named(client: Any) -> None:
    server = await client()
    for query, names in (
        ("?after=-1", ["after"]),
        ("?after=x&limit=0", ["after", "limit"]),
        (f"?after={2**63}&limit=1001", ["after", "limit"]),
        ("?after=1&after=2", ["after"]),
        ("?limit=5&limit=5&after=", ["after", "limit"]),
        ("?limit=%2B5", ["limit"]),
        ("?after=1e3", ["after"]),
        ("?after=" + "9" * 5000, []),
    ):
        answer = await server.fetch(f"/api/changes/{query}")
        assert answer.code == (400 if names else 414), query[:50]
        assert answer.headers["Content-Type"] == PROBLEM
        told = [fault["parameter"] for fault in orjson.loads(answer.body).get("errors", [])]
        assert told == names, query[:50]


@pytest.mark.gen_test
async def test_it_answers_as_the_other_routes_do(client: Any, database: Database) -> None:
    happen(database, albums(3))
    server = await client()
    whole = await server.fetch("/api/changes/")
    assert whole.headers["Cache-Control"] == "no-cache"
    assert whole.headers["Access-Control-Allow-Origin"] == "*"
    assert whole.headers["Content-Type"] == "application/json; charset=utf-8"
    same = await server.fetch("/api/changes", If_None_Match=whole.headers["ETag"])
    assert (same.code, same.body) == (304, b"")
    head = await server.fetch("/api/changes/", "HEAD")
    assert (head.code, head.body) == (200, b"")
    for name in ("ETag", "Content-Length", "Link"):
        assert head.headers[name] == whole.headers[name]
    assert (await server.fetch("/api/changes/", Accept_Encoding="br")).headers[
        "Content-Encoding"
    ] == "br"
    assert (await server.fetch("/api/changes/", "OPTIONS")).code == 204
    refused = await server.fetch("/api/changes/", "DELETE")
    assert (refused.code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    happen(database, albums(4))
    later = await server.fetch("/api/changes/", If_None_Match=whole.headers["ETag"])
    assert later.code == 200


@pytest.mark.gen_test
async def test_without_a_database_it_is_503(
    make_settings: Callable[..., Any], launch_freshet: Callable[..., Freshet]
) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    server = Client(launch_freshet(make_settings(database_url=url)))
    answer = await server.fetch("/api/changes/")
    assert (answer.code, answer.headers["Content-Type"]) == (503, PROBLEM)
    assert int(answer.headers["Retry-After"]) > 0
    server.http.close()


@pytest.mark.gen_test
async def test_who_reads_while_many_write_misses_nothing(client: Any, database: Database) -> None:
    server = await client()
    writers = [
        asyncio.create_task(database.compute(happen, database, albums(3, first=10 * number)))
        for number in range(6)
    ]
    told, after = [], 0
    while True:
        over = all(writer.done() for writer in writers)
        page = await page_of(server, f"?after={after}&limit=2")
        told += [each["seq"] for each in page["items"]]
        after = page["next_after"]
        if over and not page["items"]:
            break
    await asyncio.gather(*writers)
    assert told == [each.seq for each in journal_of(database)]
    assert len(told) >= 18
