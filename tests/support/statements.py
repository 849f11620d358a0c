"""Shares SQLAlchemy's compiled statements between the engines of all tests.

Each test has an engine, which would otherwise compile the same statements again: a fifth of the
time of tests on the database. In a server there is one engine for all its life.
"""

from typing import Any, ClassVar

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.util import LRUCache


class Dialect(PGDialect_psycopg2):
    """SQLAlchemy's dialect; dialects with the same options are equal and share statements."""

    supports_statement_cache = True
    compiled: ClassVar[LRUCache[Any, Any]] = LRUCache(2000)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dialect) and self._made == other._made

    def __hash__(self) -> int:
        return hash(self._made)

    @property
    def _made(self) -> tuple[bool, bool]:
        return self._json_serializer is None, self._json_deserializer is None

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        engine.update_execution_options(compiled_cache=cls.compiled)


def pytest_configure() -> None:
    """Let all engines of this run share their compiled statements."""
    for name in ("postgresql", "postgresql.psycopg2"):
        registry.register(name, __name__, Dialect.__name__)
