"""The artists that accounts follow, watch or ignore.

Each function runs in its caller's transaction.
Choices belong to an account, or to the server itself: those made by a command, or with a key that
belongs to no account. They count for every account. An artist is an id of Spotify's throughout.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Table, delete, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session

from models import Artist, Base, ChosenArtist, FollowedArtist, FollowedList
from server.storage.bulk import IN_BULK, Row, is_any_of, recordset

CHANNEL = "freshet_following"  # of NOTIFY: somebody's artists have changed

Choice = Literal["watched", "ignored"]


@dataclass(frozen=True)
class MyArtists:
    """The artists of one owner, each with its name, None if unknown.

    `followed` are in the order of Spotify's list, the others the latest choice first.
    """

    followed: Mapping[str, str | None] = field(default_factory=dict)
    watched: Mapping[str, str | None] = field(default_factory=dict)
    ignored: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, str | None]:
        """The artists whose releases are wanted: followed or watched, and not ignored."""
        both = {**self.followed, **self.watched}
        return {artist: name for artist, name in both.items() if artist not in self.ignored}


@dataclass(frozen=True)
class ListState:
    """When an account's list on Spotify was last read whole, and last tried.

    `error` is why the last try failed, None if it did not.
    """

    read_at: datetime | None = None
    tried_at: datetime | None = None
    error: str | None = None


def read_mine(session: Session, account_id: str | None) -> MyArtists:
    """Read the artists of an account with the choices of the server; those of all if it is None."""
    followed = select(FollowedArtist.artist, FollowedArtist.name).where(
        FollowedArtist.unfollowed_at.is_(None), _of(FollowedArtist.account_id, account_id)
    )
    ordered = followed.order_by(FollowedArtist.account_id, FollowedArtist.position)
    known = func.coalesce(ChosenArtist.name, Artist.name)
    chosen = (
        select(ChosenArtist.artist, known.label("name"), ChosenArtist.choice)
        .outerjoin(Artist, Artist.spotify_id == ChosenArtist.artist)
        .where(or_(ChosenArtist.account_id.is_(None), _of(ChosenArtist.account_id, account_id)))
        # An account's own choice comes last, so that it wins over the server's.
        .order_by(ChosenArtist.account_id.nulls_first(), ChosenArtist.chosen_at.desc())
    )
    latest = {row.artist: (row.choice, row.name) for row in session.execute(chosen)}
    return MyArtists(
        {row.artist: row.name for row in session.execute(ordered)},
        {artist: name for artist, (choice, name) in latest.items() if choice == "watched"},
        {artist: name for artist, (choice, name) in latest.items() if choice == "ignored"},
    )


def wanted(session: Session) -> dict[str, str | None]:
    """Read the artists that any account or the server wants, with their names, None if unknown."""
    followed, chosen = select(FollowedArtist.account_id), select(ChosenArtist.account_id)
    accounts = session.scalars(followed.union(chosen)).all()
    found = read_mine(session, "").wanted  # of no account: the choices of the server alone
    for account_id in accounts:
        found |= read_mine(session, account_id).wanted if account_id is not None else {}
    return found


def choose(
    session: Session,
    account_id: str | None,
    artists: Mapping[str, str | None],
    choice: Choice,
    now: datetime,
    origin: str = "",
) -> int:
    """Watch or ignore artists, given with their names if known; notify every process.

    A choice replaces the owner's earlier one of the same artist. Returns how many have changed.
    """
    rows = [
        {
            "artist": artist,
            "name": name,
            "account_id": account_id,
            "choice": choice,
            "chosen_at": now,
        }
        for artist, name in sorted(artists.items())
    ]
    if not rows:
        return 0
    statement = _insert(ChosenArtist, rows)
    changed = session.execute(
        statement.on_conflict_do_update(
            index_elements=[func.coalesce(ChosenArtist.account_id, ""), ChosenArtist.artist],
            set_={
                "choice": statement.excluded.choice,
                "name": func.coalesce(statement.excluded.name, ChosenArtist.name),
                "chosen_at": statement.excluded.chosen_at,
            },
            where=ChosenArtist.choice != statement.excluded.choice,
        ).returning(ChosenArtist.id)
    ).all()
    _notify(session, origin)
    return len(changed)


def unchoose(
    session: Session,
    account_id: str | None,
    artists: Collection[str],
    choice: Choice,
    origin: str = "",
) -> int:
    """Take an owner's choice of artists back, and notify every process; return how many had it."""
    owner = func.coalesce(ChosenArtist.account_id, "") == (account_id or "")
    gone = delete(ChosenArtist).where(
        owner, is_any_of(ChosenArtist.artist, artists), ChosenArtist.choice == choice
    )
    found = session.execute(gone.returning(ChosenArtist.id), execution_options=IN_BULK).all()
    _notify(session, origin)
    return len(found)


def record_followed(
    session: Session,
    account_id: str,
    artists: Sequence[tuple[str, str]],
    now: datetime,
    origin: str = "",
) -> None:
    """Store an account's whole list on Spotify: ids with names, in order; notify every process.

    Artists that are no longer in it are marked as unfollowed.
    """
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
    if rows:
        _upsert_followed(session, rows)
    left = update(FollowedArtist).where(
        FollowedArtist.account_id == account_id,
        FollowedArtist.unfollowed_at.is_(None),
        ~is_any_of(FollowedArtist.artist, [artist for artist, _ in artists]),
    )
    session.execute(left.values(unfollowed_at=now), execution_options=IN_BULK)
    _record_state(session, account_id, {"read_at": now, "tried_at": now, "error": None})
    _notify(session, origin)


def record_failure(session: Session, account_id: str, error: str, now: datetime) -> None:
    """Store why an account's list could not be read; the list stays as it was."""
    _record_state(session, account_id, {"tried_at": now, "error": error})


def list_state(session: Session, account_id: str) -> ListState:
    """Read when an account's list was last read and tried."""
    row = session.get(FollowedList, account_id)
    return ListState() if row is None else ListState(row.read_at, row.tried_at, row.error)


def _upsert_followed(session: Session, rows: list[Row]) -> None:
    statement = _insert(FollowedArtist, rows)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[FollowedArtist.account_id, FollowedArtist.artist],
            set_={
                "name": statement.excluded.name,
                "position": statement.excluded.position,
                "unfollowed_at": None,
            },
        )
    )


def _insert(model: type[Base], rows: list[Row]) -> Insert:
    """Make a statement that inserts rows, all of which have the same keys."""
    table = cast(Table, model.__table__)
    given = recordset(rows, [table.c[name] for name in rows[0]])
    return insert(table).from_select(list(rows[0]), select(*given.c))


def _record_state(
    session: Session, account_id: str, values: dict[str, datetime | str | None]
) -> None:
    statement = insert(FollowedList).values(account_id=account_id, **values)
    session.execute(
        statement.on_conflict_do_update(index_elements=[FollowedList.account_id], set_=values)
    )


def _of(column: Any, account_id: str | None) -> ColumnElement[bool]:
    """Select the rows of an account, or all of them."""
    return true() if account_id is None else column == account_id


def _notify(session: Session, origin: str) -> None:
    session.execute(select(func.pg_notify(CHANNEL, origin)))
