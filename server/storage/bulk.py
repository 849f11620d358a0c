"""Many rows in one statement: one jsonb parameter, which the database expands to rows."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Table,
    TableValuedAlias,
    Text,
    any_,
    bindparam,
    column,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.dml import ReturningInsert

from models import Base

IN_BULK = {"synchronize_session": False}  # bulk statements touch no object of a session

Row = dict[str, Any]


def is_any_of(
    attribute: ColumnElement[str] | InstrumentedAttribute[str], values: Iterable[str]
) -> ColumnElement[bool]:
    """Make the condition that a text column is one of `values`, sent as one array parameter."""
    return attribute == any_(bindparam(None, list(values), type_=ARRAY(Text), unique=True))


def recordset(rows: list[Row], columns: Sequence[Any]) -> TableValuedAlias:
    """Make rows a table with the names and types of `columns` (jsonb_to_recordset)."""
    return _expanded(bindparam(None, rows, type_=JSONB, unique=True), columns)


def _expanded(rows: BindParameter[Any], columns: Sequence[Any]) -> TableValuedAlias:
    return (
        func.jsonb_to_recordset(rows)
        .table_valued(*(column(each.key, each.type) for each in columns))
        .render_derived(with_types=True)
    )


def inserted(model: type[Base], rows: list[Row]) -> Insert:
    """Make a statement that inserts rows, all of which have the same keys."""
    table = cast(Table, model.__table__)
    given = recordset(rows, [table.c[name] for name in rows[0]])
    return insert(table).from_select(list(rows[0]), select(*given.c))


def insert_rows(session: Session, model: type[Base], rows: list[Row]) -> None:
    """Insert rows, all of which have the same keys."""
    if rows:
        session.execute(_inserted(model, tuple(rows[0])), {"rows": rows})


@cache
def _inserted(model: type[Base], names: tuple[str, ...]) -> Insert:
    """Make the statement that inserts `rows`; SQLAlchemy needs longer than it takes to run."""
    table = cast(Table, model.__table__)
    given = _expanded(bindparam("rows", type_=JSONB), [table.c[name] for name in names])
    return insert(table).from_select(names, select(*given.c))


def upsert_rows(
    session: Session, model: type[Base], rows: list[Row], content: Collection[str]
) -> dict[str, int]:
    """Insert rows, or update the `content` columns of rows that exist and differ.

    Rows are sorted by key, so that two writers cannot deadlock. Returns our ids of the written
    rows, by Spotify's id.
    """
    if not rows:
        return {}
    rows = sorted(rows, key=lambda row: row["spotify_id"])
    statement = _upserted(model, tuple(rows[0]), tuple(content))
    written = session.execute(statement, {"rows": rows})
    return {row.spotify_id: row.id for row in written}


@cache
def _upserted(
    model: type[Base], names: tuple[str, ...], content: tuple[str, ...]
) -> ReturningInsert[tuple[str, int]]:
    """Make the statement that upserts `rows`; it is made once, as `_inserted` is."""
    table, statement = cast(Table, model.__table__), _inserted(model, names)
    refreshed = [name for name in (*content, "updated_at", "last_seen_at") if name in names]
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.spotify_id],
        set_={name: statement.excluded[name] for name in refreshed},
        where=tuple_(*(table.c[name] for name in content)).is_distinct_from(
            tuple_(*(statement.excluded[name] for name in content))
        ),
    )
    return statement.returning(table.c.spotify_id, table.c.id)
