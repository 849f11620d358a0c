"""What is done with a catalogue reads as many rows however large it is: the disk alone grows."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from server.database.executor import Database
from server.storage import changes
from tests.bench.scale_data import fill
from tests.bench.scale_parts import READS, WRITES
from tests.bench.scale_work import Catalogue, Part
from tests.support.databases import NewDatabase

SIZES = 1000, 4000
FACTOR, FEW = 2, 20
# Small tables are read whole, so the ways that need no index are closed to the planner.
PLANNER = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin"))
# What a snapshot holds, and what a page of a reading examines, grows at first, up to a few thousand
# releases; `test_snapshots` and the tests of readings have their plans.
LATER = ("snapshot", "page of", "q=")
PARTS = [part for part in (*READS, *WRITES) if not part.name.startswith(LATER)]


@pytest.fixture(scope="module")
def catalogues(new_database: NewDatabase, migrated: str) -> Iterator[list[Catalogue]]:
    with ExitStack() as stack:
        made = []
        for size in SIZES:
            url = stack.enter_context(new_database(migrated))
            fill(url, size, entries=2)
            made.append(Catalogue(url))
            stack.callback(made[-1].close)
        yield made


def rows_read(plan: dict[str, Any]) -> float:
    """Count the rows that a plan takes from tables and indexes, kept or not."""
    count = 0.0
    if "Scan" in plan["Node Type"] and plan["Node Type"] not in ("CTE Scan", "Subquery Scan"):
        kept = plan["Actual Rows"], plan.get("Rows Removed by Filter", 0)
        count = (sum(kept) + plan.get("Rows Removed by Index Recheck", 0)) * plan["Actual Loops"]
    return count + sum(map(rows_read, plan.get("Plans", ())))


def rows_of(catalogue: Catalogue, part: Part) -> float:
    explained = catalogue.plans(part, 1, "ANALYZE, FORMAT JSON", PLANNER)
    assert explained
    return sum(rows_read(found["Plan"]) for _, ((found,),) in explained)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_catalogue_four_times_as_large_does_not_have_twice_as_many_rows_read(
    catalogues: list[Catalogue], part: Part
) -> None:
    small, large = (rows_of(each, part) for each in catalogues)
    assert large <= FACTOR * small + FEW


def test_each_foreign_key_has_an_index_so_that_a_deletion_finds_what_refers_to_the_row(
    database: Database,
) -> None:
    without = text(
        """
        SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'
        AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = conrelid AND indpred IS NULL
            AND (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)
        """
    )
    with database.engine.connect() as connection:
        found = {tuple(row) for row in connection.execute(without)}
    # Its index begins with an expression, and there are few choices.
    assert found == {("chosen_artists", "fk_chosen_artists_account_id_logins")}


def test_what_retention_has_deleted_from_the_journal_slows_nobody_until_the_next_vacuum(
    database: Database,
) -> None:
    fill = """
        ALTER TABLE changes SET (autovacuum_enabled = false);
        INSERT INTO changes (album, kind, at, detail)
        SELECT 'x', 'added', now() - n * interval '1 hour', '{}'
        FROM generate_series(50000, 1, -1) n
    """
    with Session(database.engine) as session, session.begin():
        session.execute(text(fill))
        changes.prune(session, datetime.now(UTC) - timedelta(hours=100, minutes=30), 49_900)
    with Session(database.engine) as session:
        reach = changes.reach(session)
        assert (reach.oldest, reach.newest, reach.floor) == (49_901, 50_000, 49_900)
        ends = changes._ends().compile(database.engine, compile_kwargs={"literal_binds": True})
        (found,) = session.scalars(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {ends}")).one()
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] < 20
