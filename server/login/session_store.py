"""SQL of sessions and of used states; each function runs in its caller's transaction."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import BrowserSession, Login, SpentState
from server.encryption import Encryption
from server.login.attempt import fingerprint
from server.spotify.auth import token_store
from server.spotify.profile import Profile
from server.spotify.types import Grant

SESSION_LIFE = timedelta(days=30)
STATES = cast(Table, SpentState.__table__)
EXPIRED = delete(STATES).where(STATES.c.expires_at <= bindparam("now"))
SPENT = insert(STATES).on_conflict_do_nothing().returning(STATES.c.state_hash)
ADMISSION_LOCK = 0x4F776E65  # arbitrary; two concurrent first logins cannot both become owner


@dataclass(frozen=True)
class NewSession:
    """A new session's token; `becomes_owner` if this first login excludes all other accounts."""

    session: str = field(repr=False)
    becomes_owner: bool


@dataclass(frozen=True)
class Visitor:
    """The account of a session."""

    account_id: str
    display_name: str | None


def spend(session: Session, state: str, now: datetime, keep: timedelta) -> bool:
    """Store a state for `keep` and return True; return False if it is stored already.

    Deletes states that have expired.
    """
    session.execute(EXPIRED, {"now": now})
    row = {"state_hash": fingerprint(state), "expires_at": now + keep}
    return session.execute(SPENT, row).first() is not None


def admit(
    session: Session,
    profile: Profile,
    grant: Grant,
    allowed: Collection[str],
    encryption: Encryption,
    now: datetime,
    replaces: str | None = None,
) -> NewSession | None:
    """Store the login of an account and open a session, which replaces the session `replaces`.

    Returns None and stores nothing if the account may not log in. `allowed` lists the names of
    accounts that may; if it is empty, only the stored account may, or else the first one.
    """
    session.execute(select(func.pg_advisory_xact_lock(ADMISSION_LOCK)))
    token_store.prefix_bare_ids(session)
    is_first = token_store.newest(session, ()) is None
    if allowed and not profile.names & set(allowed):
        return None
    if not allowed and token_store.is_taken_by_others(session, profile):
        return None
    account_id = token_store.record_consent(session, profile, grant, now, encryption)
    if replaces:
        end_session(session, replaces)
    session.execute(delete(BrowserSession).where(BrowserSession.expires_at <= now))
    token = secrets.token_urlsafe(32)
    session.add(
        BrowserSession(
            token_hash=fingerprint(token),
            account_id=account_id,
            created_at=now,
            expires_at=now + SESSION_LIFE,
        )
    )
    return NewSession(token, becomes_owner=is_first and not allowed)


def visitor(
    session: Session, token: str, allowed: Collection[str], now: datetime
) -> Visitor | None:
    """Return the account of a session; None if it has expired or the account is not allowed."""
    found = session.execute(
        select(Login.account_id, Login.display_name)
        .join(BrowserSession, BrowserSession.account_id == Login.account_id)
        .where(BrowserSession.token_hash == fingerprint(token), BrowserSession.expires_at > now)
        .where(token_store.is_allowed(allowed))
    ).first()
    return None if found is None else Visitor(found.account_id, found.display_name)


def end_session(session: Session, token: str) -> None:
    """Delete a session."""
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == fingerprint(token)))
