"""The table `logins`: encrypted tokens. Each function runs in the caller's transaction."""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache, lru_cache

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from models import AccessKey, ChosenArtist, Login
from server.encryption import Encryption
from server.errors import DecryptionFailed
from server.spotify.profile import USER_PREFIX, Profile, name_of_user
from server.spotify.types import Grant

Transaction = Session  # for callers, which pass it on and write no SQL of their own

ACTIVE = "active"
CONSENT_NEEDED = "consent_needed"
CHANNEL = "freshet_logins"  # of NOTIFY: a login was added, changed or removed
LOG_IN_AGAIN = "log in again at /auth/login/; until then Freshet uses the app's own token"
LOG_IN_SOON = "log in again at /auth/login/ before then; later Freshet uses the app's own token"
SECRET_CHANGED = (
    "SECRET has changed: add the old key after the new one (SECRET=new,old), or log in again"  # noqa: S105 - no secret
)
REMIND_EVERY = timedelta(hours=23, minutes=30)  # a day; the hourly check may be a moment early

OF_PEOPLE = Login.authorized_at.is_not(None)
SEALED = Login.access_token, Login.refresh_token
NAME_OF_USER = USER_PREFIX + Login.user_id
BY_USER_ID = Login.account_id.is_not_distinct_from(NAME_OF_USER)  # its account_id is unknown
UNTYPED = Login.account_id == Login.user_id  # the same, as versions before 0.2 wrote it
NEWEST_FIRST = Login.authorized_at.desc(), Login.account_id
LOCKED = select(Login).where(Login.account_id == bindparam("account_id")).with_for_update()
OPERATORS = 8  # settings of ALLOWED_USERS whose statements are kept: a process has one


def usable_accounts(session: Session, allowed: Collection[str]) -> list[str]:
    """List the ids of accounts whose tokens may be used, the newest consent first."""
    return list(session.scalars(_usable(tuple(allowed))))


def accounts_with(
    session: Session, allowed: Collection[str], scopes: Collection[str]
) -> dict[str, datetime]:
    """Return the accounts whose tokens may be used and have all `scopes`, and when each agreed."""
    usable = select(Login.account_id, Login.authorized_at).where(
        is_allowed(allowed), Login.state == ACTIVE, Login.refresh_token.is_not(None)
    )
    rows = session.execute(usable.where(Login.scopes.contains(list(scopes))))
    return {account_id: at for account_id, at in rows if at is not None}


@lru_cache(OPERATORS)
def _usable(allowed: tuple[str, ...]) -> Select[str]:
    chosen = select(Login.account_id).where(
        is_allowed(allowed), Login.state == ACTIVE, Login.refresh_token.is_not(None)
    )
    return chosen.order_by(*NEWEST_FIRST)


def newest(session: Session, allowed: Collection[str]) -> Login | None:
    """Read the login of a person that is used: the newest active one, else the newest."""
    return session.scalar(_usable_first(tuple(allowed)))


@lru_cache(OPERATORS)
def _usable_first(allowed: tuple[str, ...]) -> Select[Login]:
    usable_first = (Login.state == ACTIVE).desc()
    people = select(Login).where(is_allowed(allowed))
    return people.order_by(usable_first, *NEWEST_FIRST)


def excluded_accounts(session: Session, allowed: Collection[str]) -> list[str]:
    """List the accounts whose logins are stored but not used, because `allowed` excludes them."""
    if not allowed:
        return []
    people = select(Login.account_id).where(OF_PEOPLE, ~is_allowed(allowed))
    return list(session.scalars(people.order_by(Login.account_id)))


def mistaken_entries(session: Session, allowed: Collection[str]) -> list[tuple[str, str]]:
    """Find entries of ALLOWED_USERS that are the `id` of an account but do not admit it.

    Returns each with the name that would. Up to 0.1 an entry could be either id.
    """
    if not allowed:
        return []
    people = select(Login.user_id, Login.account_id).where(
        OF_PEOPLE, Login.user_id.in_(allowed), ~is_allowed(allowed)
    )
    rows = session.execute(people.order_by(Login.user_id, Login.account_id)).all()
    return [(user_id, account_id) for user_id, account_id in rows if user_id is not None]


def prefix_bare_ids(session: Session) -> None:
    """Rename accounts whose account_id is unknown to a name that no account_id can be.

    Versions before 0.2 stored them under their bare `id`. Sessions follow by their foreign key.
    """
    # A session calls this before it reads logins, so none of its objects has to follow.
    session.execute(_prefixed(), execution_options={"synchronize_session": False})


@cache
def _prefixed() -> Update:
    other = aliased(Login)
    taken = exists().where(other.account_id == NAME_OF_USER)
    return update(Login).where(OF_PEOPLE, UNTYPED, ~taken).values(account_id=NAME_OF_USER)


def lock(session: Session, account_id: str) -> Login | None:
    """Read and lock an account's row, so that no other process changes it until the commit."""
    return session.scalar(LOCKED, {"account_id": account_id})


def lock_app(session: Session, account_id: str) -> Login:
    """Read and lock the app's row, inserted if it is missing."""
    row = insert(Login).values(account_id=account_id, scopes=[], state=ACTIVE)
    session.execute(row.on_conflict_do_nothing())
    locked = lock(session, account_id)
    assert locked is not None
    return locked


def store_grant(row: Login, grant: Grant, expires_at: datetime, encryption: Encryption) -> None:
    """Write new tokens to a row, encrypted; without a new refresh token the old one stays."""
    row.access_token = encryption.seal(grant.access_token)
    row.expires_at = expires_at
    if grant.refresh_token:
        row.refresh_token = encryption.seal(grant.refresh_token)


def mark_consent_needed(session: Session, account_id: str, reason: str, at: datetime) -> bool:
    """Mark a login as in need of a new consent, and notify every process.

    Returns False if it was marked already, or is gone.
    """
    changed = session.execute(
        update(Login)
        .where(Login.account_id == account_id, OF_PEOPLE, Login.state == ACTIVE)
        .values(state=CONSENT_NEEDED, reason=reason, reminded_at=at)
        .returning(Login.account_id)
    ).first()
    if changed:
        notify(session)
    return changed is not None


def reactivate(session: Session, row: Login) -> None:
    """Mark a login as active again, and notify every process if it was not."""
    if row.state != ACTIVE:
        row.state, row.reason = ACTIVE, None
        notify(session)


def record_consent(
    session: Session, profile: Profile, grant: Grant, at: datetime, encryption: Encryption
) -> str:
    """Store a person's new login in place of older ones of the account; return its account_id."""
    prefix_bare_ids(session)
    known = select(Login).where(OF_PEOPLE, _is_of(profile)).order_by(BY_USER_ID, *NEWEST_FIRST)
    rows = list(session.scalars(known.with_for_update())) or [Login(account_id=profile.key)]
    row, *others = rows
    for other in others:
        if other.user_id is not None and other.account_id == name_of_user(other.user_id):
            _hand_over(session, other.account_id, row.account_id)
            session.delete(other)
    session.flush()
    session.add(row)
    row.account_id = profile.account_id or row.account_id
    row.user_id = profile.user_id or row.user_id
    if row.user_id == row.account_id:  # or it would look untyped
        row.user_id = None
    row.display_name, row.scopes = profile.display_name, list(grant.scopes or ())
    row.authorized_at, row.state, row.reason, row.reminded_at = at, ACTIVE, None, None
    store_grant(row, grant, at + grant.lifetime, encryption)
    session.flush()
    notify(session)
    return row.account_id


def _hand_over(session: Session, old: str, new: str) -> None:
    """Give what an account has made by hand under its older name to its row that stays."""
    mine = select(ChosenArtist.artist).where(ChosenArtist.account_id == new)
    chosen = update(ChosenArtist).where(
        ChosenArtist.account_id == old, ChosenArtist.artist.not_in(mine)
    )
    keys = update(AccessKey).where(AccessKey.account_id == old)
    for statement in (chosen, keys):
        session.execute(
            statement.values(account_id=new), execution_options={"synchronize_session": False}
        )


def is_taken_by_others(session: Session, profile: Profile) -> bool:
    """Whether people have logged in, and none of them is this account."""
    people = session.execute(select(_is_of(profile)).where(OF_PEOPLE)).scalars().all()
    return bool(people) and not any(people)


def delete_login(session: Session, account_id: str) -> None:
    """Delete an account's tokens and sessions, and notify every process."""
    session.execute(delete(Login).where(Login.account_id == account_id, OF_PEOPLE))
    notify(session)


def reencrypt(session: Session, encryption: Encryption) -> tuple[int, list[str]]:
    """Encrypt tokens with the first key that are encrypted with another.

    Returns the number of logins changed, and the accounts whose refresh token no key opens; these
    tokens stay as they are.
    """
    resealed, unreadable = 0, []
    for account_id, *sealed in session.execute(select(Login.account_id, *SEALED)).all():
        if all(each is None or encryption.is_current(each) for each in sealed):
            continue
        row = lock(session, account_id)
        if row is None:
            continue
        access, refresh = (
            _resealed(row.access_token, encryption),
            _resealed(row.refresh_token, encryption),
        )
        resealed += (access, refresh) != (None, None)
        row.access_token = access or row.access_token
        row.refresh_token = refresh or row.refresh_token
        if row.refresh_token is not None and refresh is None:
            unreadable.append(account_id)
    return resealed, sorted(unreadable)


def _resealed(sealed: bytes | None, encryption: Encryption) -> bytes | None:
    try:
        return None if sealed is None else encryption.seal(encryption.open(sealed))
    except DecryptionFailed:
        return None


def notify(session: Session) -> None:
    """Notify every process, this one included, when the transaction commits."""
    session.execute(text(f"NOTIFY {CHANNEL}"))


def claim_reminder(session: Session, account_id: str, now: datetime) -> bool:
    """Claim the daily reminder of a consent's end; return whether it is due for this process."""
    due = or_(
        Login.reminded_at.is_(None),
        Login.reminded_at <= now - REMIND_EVERY,
        Login.reminded_at > now + REMIND_EVERY,  # by a clock that was wrong then
    )
    reminded = update(Login).where(Login.account_id == account_id, due).values(reminded_at=now)
    return session.execute(reminded.returning(Login.account_id)).first() is not None


def is_allowed(allowed: Collection[str]) -> ColumnElement[bool]:
    """Make the condition for rows of people whom the operator admits; an empty list admits all.

    Each name in the list is either an account_id or an `id` with its prefix.
    """
    if not allowed:
        return OF_PEOPLE
    by_account = Login.account_id.in_(allowed) & Login.account_id.is_distinct_from(Login.user_id)
    return OF_PEOPLE & (by_account | func.coalesce(NAME_OF_USER.in_(allowed), False))


def _is_of(profile: Profile) -> ColumnElement[bool]:
    """Make the condition for rows of this account.

    The user_id counts only where one side has no account_id, because a user_id may later belong to
    another account.
    """
    by_user_id = Login.user_id == profile.user_id
    if profile.account_id is None:
        return by_user_id
    return (Login.account_id == profile.account_id) | (by_user_id & BY_USER_ID)
