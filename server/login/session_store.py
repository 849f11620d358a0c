"""The tables of logging in: sessions and spent states. Each function runs in one transaction."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import BrowserSession, Login, SpentState
from server.encryption import Encryption
from server.login.attempt import fingerprint
from server.spotify.auth import token_store
from server.spotify.auth.oauth import Grant
from server.spotify.profile import Profile

SESSION_LIFE = timedelta(days=30)
ADMISSION_LOCK = 0x4F776E65  # any number of our own: two first logins at once cannot both own


@dataclass(frozen=True)
class Admission:
    """A session's token; `becomes_owner`: nobody had logged in before, and nobody else may now."""

    session: str = field(repr=False)
    becomes_owner: bool


@dataclass(frozen=True)
class Visitor:
    """Who is logged in."""

    account_id: str
    display_name: str | None


def spend(session: Session, state: str, now: datetime, keep: timedelta) -> bool:
    """Accept a state, once; False if it has been before. Those older than `keep` are forgotten."""
    session.execute(delete(SpentState).where(SpentState.expires_at <= now))
    spent = insert(SpentState).values(state_hash=fingerprint(state), expires_at=now + keep)
    return (
        session.execute(spent.on_conflict_do_nothing().returning(SpentState.state_hash)).first()
        is not None
    )


def admit(
    session: Session,
    profile: Profile,
    grant: Grant,
    allowed: Collection[str],
    encryption: Encryption,
    now: datetime,
    replaces: str | None = None,
) -> Admission | None:
    """Keep the login of an account that may in, and open a session instead of `replaces`.

    Returns None and stores nothing for any other account. `allowed` lists accounts by their names;
    if it is empty, the account that is here already owns the server, or the first to come.
    """
    session.execute(select(func.pg_advisory_xact_lock(ADMISSION_LOCK)))
    token_store.name_by_type(session)
    nobody = token_store.newest(session, ()) is None
    if allowed and not profile.names & set(allowed):
        return None
    if not allowed and token_store.is_of_another(session, profile):
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
    return Admission(token, becomes_owner=nobody and not allowed)


def visitor(
    session: Session, token: str, allowed: Collection[str], now: datetime
) -> Visitor | None:
    """Who has this session; None if it is over, or its account may no longer in."""
    found = session.execute(
        select(Login.account_id, Login.display_name)
        .join(BrowserSession, BrowserSession.account_id == Login.account_id)
        .where(BrowserSession.token_hash == fingerprint(token), BrowserSession.expires_at > now)
        .where(token_store.is_allowed(allowed))
    ).first()
    return None if found is None else Visitor(found.account_id, found.display_name)


def end_session(session: Session, token: str) -> None:
    """End a session."""
    session.execute(delete(BrowserSession).where(BrowserSession.token_hash == fingerprint(token)))
