"""SQL of the lists of followed artists, as they are read from Spotify.

Each function runs in its caller's transaction. `server/storage/following.py` reads them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, Text, bindparam, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models import FollowedArtist, FollowedList
from server.storage.bulk import IN_BULK, inserted
from server.storage.following import NOW_FOLLOWED, exists, notify

FORGOTTEN_AFTER = timedelta(days=90)  # rows of artists that an account no longer follows


def record_followed(
    session: Session,
    account_id: str,
    artists: Sequence[tuple[str, str]],
    now: datetime,
    origin: str = "",
) -> int:
    """Store an account's whole list on Spotify: ids with names, in order; notify every process.

    Artists that are no longer in it are marked as unfollowed, and forgotten later. Returns how many
    have just been marked. Does nothing for an account that has been disconnected meanwhile.
    """
    if not exists(session, account_id):
        return 0
    # Locks the account's row, so that two reads of one list are stored one after the other.
    _record_state(session, account_id, {"read_at": now, "tried_at": now, "error": None})
    _upsert_followed(session, account_id, artists, now)
    listed = bindparam(None, [artist for artist, _ in artists], type_=ARRAY(Text), unique=True)
    mine = FollowedArtist.account_id == account_id
    left = update(FollowedArtist).where(
        mine, NOW_FOLLOWED, FollowedArtist.artist.not_in(select(func.unnest(listed)))
    )
    marked = session.execute(
        left.values(unfollowed_at=now).returning(FollowedArtist.artist), execution_options=IN_BULK
    ).all()
    old = FollowedArtist.unfollowed_at < now - FORGOTTEN_AFTER
    session.execute(delete(FollowedArtist).where(mine, old), execution_options=IN_BULK)
    notify(session, origin)
    return len(marked)


def record_failure(
    session: Session,
    account_id: str,
    error: str,
    now: datetime,
    seen: Sequence[tuple[str, str]] = (),
    origin: str = "",
) -> None:
    """Store why an account's list could not be read whole.

    The artists `seen` until then are added; none is marked as unfollowed.
    """
    if not exists(session, account_id):
        return
    _record_state(session, account_id, {"tried_at": now, "error": error})
    if seen:
        _upsert_followed(session, account_id, seen, now)
        notify(session, origin)


def forget_followed(session: Session, origin: str = "") -> bool:
    """Delete all lists that were read from Spotify; choices stay. Returns whether there were any.

    For servers that no longer ask for the scope, so that no list is used without notice.
    """
    artists = session.execute(delete(FollowedArtist).returning(FollowedArtist.artist)).first()
    lists = session.execute(delete(FollowedList).returning(FollowedList.account_id)).first()
    if found := (artists or lists) is not None:
        notify(session, origin)
    return found


def count_followed(session: Session, account_id: str) -> int:
    """Return how many artists an account follows, as far as is known."""
    counted = select(func.count()).select_from(FollowedArtist)
    return session.scalar(counted.where(NOW_FOLLOWED, FollowedArtist.account_id == account_id)) or 0


def _upsert_followed(
    session: Session, account_id: str, artists: Sequence[tuple[str, str]], now: datetime
) -> None:
    rows = [
        {
            "account_id": account_id,
            "artist": artist,
            "name": name,
            "position": position,
            "followed_at": now,
        }
        for position, (artist, name) in enumerate(dict(artists).items())
    ]
    if not rows:
        return
    statement, old = inserted(FollowedArtist, rows), FollowedArtist
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[old.account_id, old.artist],
            set_={"name": new.name, "position": new.position, "unfollowed_at": None},
            where=or_(
                tuple_(old.name, old.position).is_distinct_from(tuple_(new.name, new.position)),
                old.unfollowed_at.is_not(None),
            ),
        )
    )


def _record_state(
    session: Session, account_id: str, values: dict[str, datetime | str | None]
) -> None:
    statement = insert(FollowedList).values(account_id=account_id, **values)
    session.execute(
        statement.on_conflict_do_update(index_elements=[FollowedList.account_id], set_=values)
    )
