"""Locks and leadership: one holder at a time, whatever happens to connections and processes."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from server.database import advisory_lock, schema
from server.database.advisory_lock import SessionLock
from server.database.executor import Database
from server.database.leader_election import Leadership
from server.errors import DatabaseUnavailable, LockLost, SchemaMismatch
from tests.support.locks import MakeLock
from tests.support.waiting import until


def cut(session: Session) -> int:
    """End the sessions that hold an advisory lock, as a network or an administrator might."""
    ended = session.execute(
        text(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )
    return len(ended.all())


async def free(lock: SessionLock) -> bool:
    """Take a lock whose last session may not have ended yet; whether that was possible."""
    for _ in range(200):
        if await lock.acquire():
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.mark.gen_test
async def test_one_has_it_and_the_next_gets_it_as_soon_as_it_is_released(lock: MakeLock) -> None:
    first, second = lock(), lock()
    assert await first.acquire()
    assert not await second.acquire()
    await first.release()
    assert await second.acquire()


@pytest.mark.gen_test
async def test_nobody_gets_it_on_a_schema_of_another_version(
    lock: MakeLock, database: Database
) -> None:
    def move(session: Session, revision: str) -> None:
        session.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})

    first, second = lock(), lock()
    assert await first.acquire()
    await database.run(move, "9999")
    with pytest.raises(SchemaMismatch, match="9999"):
        await first.check_schema()
    with pytest.raises(SchemaMismatch, match="9999"):
        await free(first)
    await database.run(move, schema.newest())
    assert await free(second), "the first has let go"
    assert not await first.acquire()
    await database.run(lambda session: session.execute(text("DROP TABLE alembic_version")))
    with pytest.raises(SchemaMismatch):
        await second.check_schema()


@pytest.mark.gen_test
async def test_of_many_that_try_at_once_one_gets_it(lock: MakeLock) -> None:
    got = await asyncio.gather(*(lock().acquire() for _ in range(8)))
    assert sum(got) == 1


@pytest.mark.gen_test
async def test_it_is_lost_with_its_connection_and_the_holder_sees_that(
    lock: MakeLock, database: Database
) -> None:
    first, second = lock(), lock()
    assert await first.acquire()
    await first.check()
    assert await database.run(cut) == 1
    with pytest.raises(DatabaseUnavailable):
        await first.check()
    assert await second.acquire()


@pytest.mark.gen_test
async def test_the_server_ends_a_session_that_shows_no_life(
    lock: MakeLock, database: Database
) -> None:
    assert await lock().acquire()
    setting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND application_name = 'freshet' AND state = 'idle'"
    )
    assert await database.run(lambda session: session.scalar(setting)) == 1
    assert advisory_lock.SESSION["idle_session_timeout"] == "12s"


@pytest.mark.gen_test
async def test_a_connection_that_breaks_while_the_lock_is_kept_is_made_again(
    lock: MakeLock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_lock, "CHECK_SECONDS", 0.05)
    first, second = lock(), lock()
    assert await first.acquire()
    async with first.held():
        assert await database.run(cut) == 1
        await asyncio.sleep(0.5)
        assert not await second.acquire()
    assert await second.acquire(), "and it is released in the end"


@pytest.mark.gen_test
async def test_whoever_loses_it_to_another_is_stopped(
    lock: MakeLock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory_lock, "CHECK_SECONDS", 1)
    first, second = lock(), lock()
    assert await first.acquire()
    with pytest.raises(LockLost):
        async with first.held():
            await database.run(cut)
            assert await second.acquire()
            await asyncio.sleep(5)
    assert not await lock().acquire()


@pytest.mark.gen_test
async def test_cancelling_what_holds_it_releases_it(lock: MakeLock) -> None:
    first, inside = lock(), asyncio.Event()

    async def hold() -> None:
        assert await first.acquire()
        async with first.held():
            inside.set()
            await asyncio.sleep(60)

    holder = asyncio.create_task(hold())
    await inside.wait()
    holder.cancel()
    await asyncio.wait([holder])
    assert holder.cancelled()
    assert await lock().acquire()


def names(logs: Any) -> list[str]:
    return [line["event"] for line in logs]


@pytest.mark.gen_test
async def test_a_leader_that_loses_its_connection_stands_down_and_another_leads(
    lock: MakeLock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.database.leader_election.CHECK_SECONDS", 0.1)
    monkeypatch.setattr("server.database.leader_election.TRY_SECONDS", 0.1)
    begun: list[int] = []

    def candidate(number: int) -> Leadership:
        async def begin() -> None:
            begun.append(number)

        return Leadership(lock(), begin)

    candidates = [candidate(number) for number in range(3)]
    with capture_logs() as logs:

        async def has_changed(times: int) -> None:
            await until(lambda: len(begun) > times)
            await until(lambda: names(logs).count("leading_ended") == times)

        tasks = [asyncio.create_task(each.run()) for each in candidates]
        for round_ in range(1, 4):
            await until(lambda: sum(each.leads for each in candidates) == 1)
            assert len(begun) == round_
            await database.run(cut)
            await has_changed(round_)
            assert sum(each.leads for each in candidates) <= 1
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert not any(each.leads for each in candidates)
    events = names(logs)
    assert set(events) == {"leading", "leading_ended"}
    assert events[0] == "leading"
    assert events[-1] == "leading_ended"
    assert events.count("leading") == events.count("leading_ended")


@pytest.mark.gen_test
async def test_a_leader_that_was_frozen_does_nothing_before_it_has_asked(lock: MakeLock) -> None:
    now, worked = [0.0], []

    async def begin() -> None:
        """Nothing to take up."""

    async def work() -> None:
        worked.append(now[0])

    leadership = Leadership(lock(), begin, timer=lambda: now[0])
    task = asyncio.create_task(leadership.run())
    guarded = leadership.only(work)
    await guarded()
    await until(lambda: leadership.leads)
    await guarded()
    now[0] = 11.0
    assert not leadership.leads
    await guarded()
    assert worked == [0.0]
    task.cancel()
    await asyncio.wait([task])
