"""Access keys: made by an owner, shown once, and sent by scripts, feed readers and calendars.

A key is `fr_` and 256 random bits, so it cannot be guessed, and a fast hash suffices.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from server.database.admission import Admission
from server.database.executor import Database
from server.errors import DatabaseError
from server.login import key_store
from server.login.key_store import KeyEntry, KeyOwner, Scope
from server.request_errors import Overloaded

PREFIX = "fr_"
HINT_LENGTH = 7  # characters of the key by which its owner recognises it
KEY_LENGTH = len(PREFIX) + 43  # characters
SCOPES: tuple[Scope, ...] = ("read", "sync", "manage")

log = structlog.get_logger()


@dataclass(frozen=True)
class NewKey:
    """A new key with what is stored of it; `key` is shown once and not stored."""

    key: str = field(repr=False)
    entry: KeyEntry


class AccessKeys:
    """Makes, finds and revokes keys; `allowed` lists the accounts whose keys count, empty for all.

    Every method may raise Overloaded or a DatabaseError.
    """

    def __init__(
        self,
        database: Database,
        allowed: Collection[str],
        now: Callable[[], datetime],
        admission: Admission | None = None,
    ) -> None:
        self._database = database
        self._allowed = allowed
        self._now = now
        self._admission = admission or Admission()

    async def create(self, account_id: str | None, name: str, scopes: Sequence[Scope]) -> NewKey:
        """Make a key of an account, or of the server itself.

        Raises TooManyKeys, or LoginRequired if the account was deleted meanwhile.
        """
        key = PREFIX + secrets.token_urlsafe(32)
        ordered = [each for each in SCOPES if each in scopes]
        hint = key[:HINT_LENGTH]
        entry = await self._run(key_store.insert, account_id, name, ordered, key, hint, self._now())
        log.info("key_created", key_id=entry.id, scopes=ordered, account_id=account_id)
        return NewKey(key, entry)

    async def find(self, key: str) -> KeyOwner | None:
        """Return whose key this is; None for an unknown or revoked one, or another text.

        Its use is noted once a minute. A database that can only be read, as a standby or with a
        full disk, still lets it in.
        """
        if len(key) != KEY_LENGTH or not key.startswith(PREFIX) or not key.isascii():
            return None
        owner: KeyOwner | None = await self._run(key_store.find, key, self._allowed, self._now())
        if owner is not None and not owner.use_is_noted:
            with suppress(DatabaseError, Overloaded):
                await self._run(key_store.note_use, key, self._now())
        return owner

    async def entries(self, account_id: str | None) -> list[KeyEntry]:
        """List the keys of an account, or those of the server itself, the newest first."""
        found: list[KeyEntry] = await self._run(key_store.entries, account_id)
        return found

    async def revoke(self, account_id: str | None, identity: int) -> bool:
        """Revoke a key of this owner at once; return False if it has no such key."""
        gone: bool = await self._run(key_store.revoke, account_id, identity)
        if gone:
            log.info("key_revoked", key_id=identity, account_id=account_id)
        return gone

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        with self._admission.enter():
            return await self._database.run(function, *args)
