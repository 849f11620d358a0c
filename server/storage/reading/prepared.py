"""Statements that are compiled once: making one takes SQLAlchemy longer than it takes to run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, BindParameter, CursorResult, Text, bindparam
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import Executable

SHAPES = 256  # compiled statements of each kind that are kept
IDS, TEXTS = ARRAY(BigInteger), ARRAY(Text)


@dataclass(frozen=True)
class Prepared:
    """The text of a statement, and the values that are the same each time."""

    text: str
    constants: Mapping[str, Any]

    def run(self, session: Session, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute it; `values` may have more than it needs."""
        given = {**self.constants, **values}
        return session.connection().exec_driver_sql(self.text, given)


def prepare(statement: Executable) -> Prepared:
    """Compile a statement, whose parameters have names."""
    dialect: Any = PGDialect_psycopg2
    compiled: Any = statement.compile(dialect=dialect())  # type: ignore[attr-defined]
    return Prepared(compiled.string, compiled.params)


def number(name: str) -> BindParameter[int]:
    """Make a parameter that is an integer."""
    return bindparam(name, type_=BigInteger())


def words(name: str) -> BindParameter[str]:
    """Make a parameter that is a text."""
    return bindparam(name, type_=Text())


def ids(name: str) -> BindParameter[Any]:
    """Make a parameter that is a list of our ids."""
    return bindparam(name, type_=IDS)


def texts(name: str) -> BindParameter[Any]:
    """Make a parameter that is a list of texts."""
    return bindparam(name, type_=TEXTS)
