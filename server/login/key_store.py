"""SQL of access keys; each function runs in its caller's transaction."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from models import AccessKey, Login
from server.login.attempt import fingerprint
from server.request_errors import LoginRequired, TooManyKeys
from server.spotify.auth import token_store
from server.spotify.waiting import has_passed

Scope = Literal["read", "sync", "manage"]
USE_NOTED_EVERY = timedelta(minutes=1)
MOST_KEYS = 50  # of one owner
MAKING_LOCK = 0x4B657973  # arbitrary; requests at the same time cannot exceed MOST_KEYS together


@dataclass(frozen=True)
class KeyEntry:
    """A key as its owner sees it: never the key itself, only its beginning as `hint`."""

    id: int
    name: str
    scopes: tuple[str, ...]
    hint: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is, None for the server's own, and what it allows: `manage` includes `read`.

    `use_is_noted` says whether the stored time of its last use is recent enough.
    """

    account_id: str | None
    scopes: frozenset[str]
    use_is_noted: bool = field(default=True, compare=False)


def insert(
    session: Session,
    account_id: str | None,
    name: str,
    scopes: Sequence[str],
    key: str,
    hint: str,
    now: datetime,
) -> KeyEntry:
    """Store the hash of a new key.

    Raises TooManyKeys, or LoginRequired if the account was deleted meanwhile.
    """
    session.execute(select(func.pg_advisory_xact_lock(MAKING_LOCK)))
    login = select(Login.account_id).where(Login.account_id == account_id)
    kept = session.scalar(login.with_for_update(read=True, key_share=True))
    if kept != account_id:
        raise LoginRequired
    counted = select(func.count()).select_from(AccessKey).where(_of(account_id))
    if session.scalars(counted).one() >= MOST_KEYS:
        raise TooManyKeys(MOST_KEYS)
    row = AccessKey(
        account_id=account_id,
        name=name,
        scopes=list(scopes),
        hint=hint,
        key_hash=fingerprint(key),
        created_at=now,
        last_used_at=None,
    )
    session.add(row)
    session.flush()
    return _entry(row)


def find(session: Session, key: str, allowed: Collection[str], now: datetime) -> KeyOwner | None:
    """Return whose key this is; None for an unknown or revoked one.

    A key of an account that is not allowed to log in is none.
    """
    row = session.execute(
        select(AccessKey.account_id, AccessKey.scopes, AccessKey.last_used_at)
        .outerjoin(Login, Login.account_id == AccessKey.account_id)
        .where(AccessKey.key_hash == fingerprint(key))
        .where(or_(AccessKey.account_id.is_(None), token_store.is_allowed(allowed)))
    ).first()
    if row is None:
        return None
    is_noted = not has_passed(row.last_used_at, USE_NOTED_EVERY, now)
    implied = {"read"} if "manage" in row.scopes else set()
    return KeyOwner(row.account_id, frozenset(row.scopes) | implied, is_noted)


def note_use(session: Session, key: str, now: datetime) -> None:
    """Store when a key was last used; does nothing if it has been revoked meanwhile."""
    used = AccessKey.key_hash == fingerprint(key)
    session.execute(update(AccessKey).where(used).values(last_used_at=now))


def entries(session: Session, account_id: str | None) -> list[KeyEntry]:
    """List the keys of an account, or those of the server itself, the newest first."""
    found = select(AccessKey).where(_of(account_id)).order_by(AccessKey.id.desc())
    return [_entry(row) for row in session.scalars(found)]


def revoke(session: Session, account_id: str | None, identity: int) -> bool:
    """Delete a key of this owner; return False if it has no such key."""
    mine = AccessKey.id == identity, _of(account_id)
    gone = delete(AccessKey).where(*mine).returning(AccessKey.id)
    return session.execute(gone).first() is not None


def _of(account_id: str | None) -> ColumnElement[bool]:
    """Make the condition for the keys of an owner."""
    return AccessKey.account_id.is_not_distinct_from(account_id)


def _entry(row: AccessKey) -> KeyEntry:
    scopes = tuple(row.scopes)
    return KeyEntry(row.id, row.name, scopes, row.hint, row.created_at, row.last_used_at)
