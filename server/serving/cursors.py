"""Cursors: signed texts of where a page of a reading begins, bound to its query. Pure.

The same position of the same query has the same cursor in every process, so that the bytes of a
page do not depend on which server made it.
"""

import base64
import binascii
import hashlib
from datetime import date
from typing import Any

import orjson

from server.catalog.query import ReleaseQuery
from server.catalog.reading import Position, first_page, is_over
from server.catalog.snapshot import Baseline
from server.encryption import Signatures
from server.errors import InvalidParameters, ParameterFault

BINDING_BYTES = 6  # of the hash of a query
NOT_OURS = "was not made by this server, or with a SECRET that it no longer has"
ANOTHERS = "belongs to another query: nothing but limit, fields and include may change"
EXPIRED = "has expired"
UNREACHABLE = "does not belong to this database, which may have been restored from a backup"


class Cursors:
    """Makes and reads cursors; `secret` is SECRET, `root` this server's URL.

    `owner` is whose lists they page through, empty for the public ones.
    """

    def __init__(self, secret: str, root: str = "", owner: str = "") -> None:
        self._signatures, self._root = Signatures(secret, "cursors"), root
        self._secret, self._owner = secret, owner

    def of_owner(self, owner: str) -> "Cursors":
        """Return those of lists that belong to an owner; no other owner can use them."""
        return Cursors(self._secret, self._root, owner)

    def make(self, query: ReleaseQuery, position: Position) -> str:
        """Return the cursor of the page of a query that begins at a position."""
        start = position.day.isoformat(), *position.baseline, *(position.place or ())
        content = self._bound(query) + orjson.dumps(start)
        signed = self._signatures.sign(content) + content
        return base64.urlsafe_b64encode(signed).decode().rstrip("=")

    def read(self, query: ReleaseQuery, today: date) -> Position | None:
        """Return the position of a query's cursor; None without one.

        `today` is the day in the zone of the query. Raises InvalidParameters for a cursor that is
        of another server or query, or has expired.
        """
        if query.cursor is None:
            return None
        try:
            signed = base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        except (binascii.Error, ValueError):
            raise self.refused(query, NOT_OURS) from None
        signature, content = signed[: Signatures.SIZE], signed[Signatures.SIZE :]
        if not self._signatures.is_valid(content, signature):
            raise self.refused(query, NOT_OURS)
        if content[:BINDING_BYTES] != self._bound(query):
            raise self.refused(query, ANOTHERS)
        day, *rest = orjson.loads(content[BINDING_BYTES:])
        began = date.fromisoformat(day)
        if is_over(began, today):
            raise self.refused(query, EXPIRED)
        ids, place = rest[: len(Baseline._fields)], rest[len(Baseline._fields) :]
        return Position(Baseline(*ids), began, _place(place))

    def _bound(self, query: ReleaseQuery) -> bytes:
        text = f"{self._owner} {query.binding}"
        return hashlib.blake2b(text.encode(), digest_size=BINDING_BYTES).digest()

    def refused(self, query: ReleaseQuery, reason: str) -> InvalidParameters:
        """Return the error for a cursor; it has the address of the first page."""
        anew = f"{reason}; begin anew at {self._root}{first_page(query).href}"
        return InvalidParameters([ParameterFault("cursor", query.cursor, anew)])


def _place(values: list[Any]) -> tuple[Any, ...] | None:
    return tuple(values) or None
