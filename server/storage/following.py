"""The artists that accounts follow, watch or ignore.

Each function runs in its caller's transaction. `server/following/list_store.py` writes the lists
that were read from Spotify.

Choices belong to an account, or to the server itself: those made by a command, or with a key that
belongs to no account. They count for every account. An artist is an id of Spotify's throughout.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, CompoundSelect, and_, delete, func, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from models import Artist, ChosenArtist, FollowedArtist, FollowedList, Login
from server.request_errors import TooManyArtists
from server.spotify.auth.token_store import is_allowed
from server.storage.bulk import IN_BULK, inserted, is_any_of

CHANNEL = "freshet_following"  # of NOTIFY: an owner's artists have changed
NOW_FOLLOWED = FollowedArtist.unfollowed_at.is_(None)
KNOWN_NAME = func.coalesce(Artist.name, ChosenArtist.name)  # the catalogue's is the newer one
MOST_CHOSEN = 10_000  # artists that one owner watches, and as many that it ignores
CHOOSING_LOCK = 0x43686F6F  # arbitrary; choices at the same time cannot exceed the bound together
SERVER_ALONE = ""  # in place of an account: the choices of the server, and no list

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
        both = dict.fromkeys((*self.followed, *self.watched))
        return {artist: self.name_of(artist) for artist in both if artist not in self.ignored}

    def name_of(self, artist: str) -> str | None:
        """Return the name of one of the artists, by whichever reason it is known."""
        named = (each.get(artist) for each in (self.followed, self.watched, self.ignored))
        return next(filter(None, named), None)


@dataclass(frozen=True)
class ListState:
    """When an account's list on Spotify was last read whole, and last tried.

    `error` is why the last try failed, None if it did not.
    """

    read_at: datetime | None = None
    tried_at: datetime | None = None
    error: str | None = None


def read_mine(session: Session, account_id: str | None, allowed: Collection[str] = ()) -> MyArtists:
    """Read the artists of an account with the choices of the server; those of all if it is None.

    An account's own choice wins over the server's. Of all together, those artists are ignored that
    some owner ignores and none wants. `allowed` are the accounts that count, empty for all.
    """
    followed = select(FollowedArtist.artist, FollowedArtist.name).where(NOW_FOLLOWED)
    chosen = select(
        ChosenArtist.artist, KNOWN_NAME.label("name"), ChosenArtist.choice, ChosenArtist.chosen_at
    ).outerjoin(Artist, Artist.spotify_id == ChosenArtist.artist)
    whose = ChosenArtist.account_id
    if account_id is None:
        ours = FollowedArtist.account_id, FollowedArtist.position
        return _read_all(
            session,
            session.execute(followed.where(counts(ours[0], allowed)).order_by(*ours)),
            session.execute(
                chosen.where(counts(whose, allowed)).order_by(ChosenArtist.chosen_at.desc())
            ),
            allowed,
        )
    followed = followed.where(FollowedArtist.account_id == account_id)
    chosen = chosen.where(or_(whose.is_(None), whose == account_id)).order_by(whose.nulls_first())
    latest = {row.artist: row for row in session.execute(chosen)}
    ordered = sorted(latest.values(), key=lambda row: row.chosen_at, reverse=True)
    return MyArtists(
        {row.artist: row.name for row in session.execute(followed.order_by("position"))},
        _named(row for row in ordered if row.choice == "watched"),
        _named(row for row in ordered if row.choice == "ignored"),
    )


def _read_all(
    session: Session, followed: Iterable[Any], chosen: Iterable[Any], allowed: Collection[str]
) -> MyArtists:
    rows, wanted_by_any = list(chosen), wanted(session, allowed)
    ignored = [row for row in rows if row.choice == "ignored" and row.artist not in wanted_by_any]
    watched = [row for row in rows if row.choice == "watched"]
    return MyArtists(_named(followed), _named(watched), _named(ignored))


def _named(rows: Iterable[Any]) -> dict[str, str | None]:
    """Return the names of artists in the order of the rows; any name is better than none."""
    found: dict[str, str | None] = {}
    for row in rows:
        found[row.artist] = row.name or found.get(row.artist)
    return found


def counts(
    whose: InstrumentedAttribute[str | None] | InstrumentedAttribute[str], allowed: Collection[str]
) -> ColumnElement[bool]:
    """Make the condition for what the server itself or an account has chosen that may log in."""
    admitted = select(Login.account_id).where(is_allowed(allowed))
    return or_(whose.is_(None), whose.in_(admitted))


def wanted(session: Session, allowed: Collection[str] = ()) -> dict[str, str | None]:
    """Read the artists that any account or the server wants, with their names, None if unknown.

    `allowed` are the accounts that may log in, empty for all: what others follow or watch is not
    wanted. One statement, whatever the number of accounts, because the leader calls it often.
    """
    found: dict[str, str | None] = {}
    for artist, name, _ in session.execute(select_wanted(allowed)):
        found[artist] = name or found.get(artist)
    return found


def select_wanted(allowed: Collection[str]) -> CompoundSelect[Any]:
    """Make the statement for wanted artists with names and owners; the server's owner is null."""
    own, of_server = aliased(ChosenArtist), aliased(ChosenArtist)
    followed = (
        select(FollowedArtist.artist, FollowedArtist.name, FollowedArtist.account_id.label("owner"))
        .outerjoin(
            own,
            and_(own.artist == FollowedArtist.artist, own.account_id == FollowedArtist.account_id),
        )
        .outerjoin(
            of_server,
            and_(of_server.artist == FollowedArtist.artist, of_server.account_id.is_(None)),
        )
        .where(NOW_FOLLOWED, counts(FollowedArtist.account_id, allowed))
        .where(func.coalesce(own.choice, of_server.choice, "watched") != "ignored")
    )
    watched = (
        select(ChosenArtist.artist, KNOWN_NAME, ChosenArtist.account_id)
        .outerjoin(Artist, Artist.spotify_id == ChosenArtist.artist)
        .where(ChosenArtist.choice == "watched", counts(ChosenArtist.account_id, allowed))
    )
    return union_all(followed, watched)


def choose(
    session: Session,
    account_id: str | None,
    artists: Mapping[str, str | None],
    choice: Choice,
    now: datetime,
    origin: str = "",
) -> int:
    """Watch or ignore artists, given with their names if known; notify every process of changes.

    A choice replaces the owner's earlier one of the same artist. Returns how many have changed,
    none for an account that has been disconnected. Raises TooManyArtists.
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
    if not rows or not exists(session, account_id):
        return 0
    session.execute(select(func.pg_advisory_xact_lock(CHOOSING_LOCK)))
    statement = inserted(ChosenArtist, rows)
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
    if changed:
        _refuse_too_many(session, account_id, choice)
        notify(session, origin)
    return len(changed)


def _refuse_too_many(session: Session, account_id: str | None, choice: Choice) -> None:
    counted = select(func.count()).select_from(ChosenArtist).where(_made_by(account_id))
    count = session.scalar(counted.where(ChosenArtist.choice == choice)) or 0
    if count > MOST_CHOSEN:
        raise TooManyArtists(choice, MOST_CHOSEN, count)


def _made_by(account_id: str | None) -> ColumnElement[bool]:
    """Make the condition for the choices of one owner."""
    return func.coalesce(ChosenArtist.account_id, "") == (account_id or "")


def unchoose(
    session: Session,
    account_id: str | None,
    artists: Collection[str],
    choice: Choice,
    origin: str = "",
) -> int:
    """Take an owner's choice of artists back, and notify every process of changes.

    Returns how many had it.
    """
    gone = delete(ChosenArtist).where(
        _made_by(account_id), is_any_of(ChosenArtist.artist, artists), ChosenArtist.choice == choice
    )
    found = session.execute(gone.returning(ChosenArtist.id), execution_options=IN_BULK).all()
    if found:
        notify(session, origin)
    return len(found)


def list_state(session: Session, account_id: str) -> ListState:
    """Read when an account's list was last read and tried."""
    return list_states(session).get(account_id, ListState())


def list_states(session: Session) -> dict[str, ListState]:
    """Read the state of every account's list, by account."""
    rows = session.scalars(select(FollowedList))
    return {row.account_id: ListState(row.read_at, row.tried_at, row.error) for row in rows}


def exists(session: Session, account_id: str | None) -> bool:
    """Return whether an owner exists, and keep an account from being deleted until the commit."""
    if account_id is None:
        return True
    known = select(Login.account_id).where(Login.account_id == account_id)
    return session.scalar(known.with_for_update(read=True, key_share=True)) is not None


def notify(session: Session, origin: str) -> None:
    """Notify every process but `origin`, when the transaction commits, that artists changed."""
    session.execute(select(func.pg_notify(CHANNEL, origin)))
