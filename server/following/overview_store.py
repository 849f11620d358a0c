"""SQL of what an owner is shown of its artists: how many, a page of them, and the next checks.

Each function runs in its caller's transaction, and returns no more rows than are shown. Owners are
those of `server/storage/following.py`; `allowed` are the accounts that may log in, empty for all.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Subquery,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from models import Artist, ArtistSchedule, ChosenArtist, FollowedArtist
from server.catalog.my_queries import State
from server.following import rotation
from server.following.rotation import DAY, Queue, Turn
from server.storage.following import NOW_FOLLOWED, counts, select_wanted

LATER = 4  # the urgency of what is not due


@dataclass(frozen=True)
class ArtistCounts:
    """How many artists an owner follows, watches and ignores, and has in all."""

    followed: int = 0
    watched: int = 0
    ignored: int = 0
    every: int = 0


@dataclass(frozen=True)
class ListedArtist:
    """An artist in the list of an owner; `choice` is `watched`, `ignored` or None."""

    artist: str
    name: str | None
    followed: bool
    choice: str | None


def count(session: Session, account_id: str | None, allowed: Collection[str]) -> ArtistCounts:
    """Count an owner's artists."""
    mine = _mine(account_id, allowed)
    columns = {
        "followed": mine.c.followed,
        "watched": mine.c.choice == "watched",
        "ignored": mine.c.choice == "ignored",
        "every": literal(True),
    }
    counted = (func.count().filter(each).label(name) for name, each in columns.items())
    return ArtistCounts(**session.execute(select(*counted).select_from(mine)).one()._asdict())


def page(
    session: Session,
    account_id: str | None,
    allowed: Collection[str],
    state: State | None,
    limit: int,
    offset: int,
) -> list[ListedArtist]:
    """Read a page of an owner's artists.

    First come the followed ones in the order of Spotify's list, then the watched and the ignored
    ones, the latest choice first.
    """
    mine = _mine(account_id, allowed)
    shown = select(mine).where(_in_state(mine, state)).order_by(*_listed(mine, state))
    rows = shown.limit(limit).offset(offset).subquery("shown")
    named = select(
        rows.c.artist,
        func.coalesce(rows.c.followed_name, Artist.name, rows.c.chosen_name),
        rows.c.followed,
        rows.c.choice,
    ).outerjoin(Artist, Artist.spotify_id == rows.c.artist)
    return [ListedArtist(*row) for row in session.execute(named.order_by(*_listed(rows, state)))]


def queue(
    session: Session, account_id: str | None, allowed: Collection[str], now: datetime
) -> Queue:
    """Read who waits to be checked: how many, and the next of this owner's with their places.

    The order is that of `rotation.most_urgent`, then of the times at which checks are due.
    """
    planned = _planned(account_id, allowed, now)
    key = planned.c.urgency, planned.c.since, planned.c.artist
    is_mine, checked = planned.c.mine, planned.c.checked_at
    totals: dict[str, Any] = {
        "mine": func.count().filter(is_mine),
        "checked": func.count(checked).filter(is_mine),
        "recently": func.count().filter(is_mine, checked >= now - rotation.LATE),
        "failing": func.count(planned.c.error).filter(is_mine),
        "planned": func.count(planned.c.next_check_at),
        "due": func.count().filter(planned.c.urgency < LATER),
        "due_a_day": func.coalesce(func.sum(1.0 / planned.c.interval_days), 0.0),
        "last": func.max(checked),
    }
    first = (
        select(*key, planned.c.next_check_at, checked, planned.c.failures)
        .where(is_mine, planned.c.next_check_at.is_not(None))
        .order_by(*key)
        .limit(rotation.NEXT)
        .cte("first")
    )
    order = [each.desc() for each in (first.c.urgency, first.c.since, first.c.artist)]
    last = select(first).order_by(*order).limit(1).subquery("last")
    ahead = (
        select(planned.c.artist, func.row_number().over(order_by=key).label("place"))
        .join(last, tuple_(*key) <= tuple_(last.c.urgency, last.c.since, last.c.artist))
        .subquery("ahead")
    )
    turns = (
        select(
            first.c.artist,
            ahead.c.place - 1,
            first.c.next_check_at,
            first.c.checked_at,
            first.c.failures,
        )
        .join(ahead, ahead.c.artist == first.c.artist)
        .order_by(ahead.c.place)
        .subquery("turns")
    )
    sums = select(*(each.label(name) for name, each in totals.items())).subquery("sums")
    rows = session.execute(select(sums, turns).outerjoin(turns, literal(True))).all()
    told: dict[str, Any] = dict(zip(totals, rows[0], strict=False))
    told["next"] = tuple(Turn(*row[len(totals) :]) for row in rows if row[-1] is not None)
    return Queue(**told)


def _planned(account_id: str | None, allowed: Collection[str], now: datetime) -> CTE:
    """Make the table of all wanted artists with their checks; `mine` are this owner's."""
    wanted, plan = _wanted_by(account_id, allowed), ArtistSchedule
    is_first = and_(plan.checked_at.is_(None), plan.failures == 0)
    since = (now - rotation.RECENT).date().isoformat()
    is_recent = func.coalesce(plan.newest_release.collate("C") >= since, False)
    urgency = case(
        (plan.artist.is_(None), None),
        (~_is_due(now), LATER),
        (plan.failures.between(1, rotation.RETRIES), 0),
        (is_first, 1),
        (or_(is_recent, plan.next_check_at <= now - rotation.LATE), 2),
        else_=3,
    )
    waiting_since = case((and_(is_first, _is_due(now)), plan.added_at), else_=plan.next_check_at)
    return (
        select(
            wanted.c.artist,
            wanted.c.mine,
            urgency.label("urgency"),
            waiting_since.label("since"),
            plan.next_check_at,
            plan.checked_at,
            plan.error,
            plan.failures,
            case((plan.interval_days < 1, 1), else_=plan.interval_days).label("interval_days"),
        )
        .outerjoin(plan, plan.artist == wanted.c.artist)
        .cte("planned")
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Make the condition of `rotation.is_due`."""
    plan, day = ArtistSchedule, literal(DAY)
    longest = case(
        (plan.failures > 0, literal(rotation.MAX_REFUSED_FOR)),
        else_=func.greatest(plan.interval_days, 1) * day,
    )
    return or_(plan.next_check_at <= now, plan.next_check_at - now > longest + day)


def _wanted_by(account_id: str | None, allowed: Collection[str]) -> Subquery:
    """Make the table of artists that any owner wants; `mine` are those that this one wants."""
    by_any = select_wanted(allowed).subquery("by_any")
    if account_id is None:
        return select(by_any.c.artist, literal(True).label("mine")).distinct().subquery("wanted")
    ignored = aliased(ChosenArtist)
    is_mine = or_(
        by_any.c.owner == account_id, and_(by_any.c.owner.is_(None), ignored.artist.is_(None))
    )
    mine = and_(
        ignored.artist == by_any.c.artist,
        ignored.account_id == account_id,
        ignored.choice == "ignored",
    )
    found = select(by_any.c.artist, func.bool_or(is_mine).label("mine"))
    return found.outerjoin(ignored, mine).group_by(by_any.c.artist).subquery("wanted")


def _mine(account_id: str | None, allowed: Collection[str]) -> Subquery:
    """Make the table of an owner's artists: why each is among them, and its place in the list."""
    chosen = _chosen_by_any(allowed) if account_id is None else _chosen_by(account_id)
    whose = FollowedArtist.account_id
    listed = select(FollowedArtist.artist, FollowedArtist.name, whose, FollowedArtist.position)
    listed = listed.where(NOW_FOLLOWED)
    if account_id is None:
        once = listed.ext(distinct_on(FollowedArtist.artist)).where(counts(whose, allowed))
        listed = once.order_by(FollowedArtist.artist, whose, FollowedArtist.position)
    else:
        listed = listed.where(whose == account_id)
    followed = listed.subquery("followed")
    return (
        select(
            func.coalesce(followed.c.artist, chosen.c.artist).label("artist"),
            followed.c.artist.is_not(None).label("followed"),
            followed.c.account_id.label("whose"),
            followed.c.position,
            followed.c.name.label("followed_name"),
            chosen.c.choice,
            chosen.c.name.label("chosen_name"),
            chosen.c.chosen_at,
        )
        .join_from(followed, chosen, chosen.c.artist == followed.c.artist, full=True)
        .subquery("mine")
    )


def _chosen_by(account_id: str) -> Subquery:
    """Make the table of an account's choices and the server's, of which its own win."""
    whose = ChosenArtist.account_id
    latest = select(
        ChosenArtist.artist, ChosenArtist.name, ChosenArtist.choice, ChosenArtist.chosen_at
    ).ext(distinct_on(ChosenArtist.artist))
    theirs = latest.where(or_(whose.is_(None), whose == account_id))
    return theirs.order_by(ChosenArtist.artist, whose.nulls_last()).subquery("chosen")


def _chosen_by_any(allowed: Collection[str]) -> Subquery:
    """Make the table of all choices: watched if any owner does, ignored if then none wants it."""
    by_any = select_wanted(allowed).subquery("by_any")
    is_wanted = ChosenArtist.artist.in_(select(by_any.c.artist))
    is_watched = func.bool_or(ChosenArtist.choice == "watched")
    choice = case((is_watched, "watched"), (func.bool_or(is_wanted), None), else_="ignored")
    return (
        select(
            ChosenArtist.artist,
            func.max(ChosenArtist.name).label("name"),
            choice.label("choice"),
            func.max(ChosenArtist.chosen_at).label("chosen_at"),
        )
        .where(counts(ChosenArtist.account_id, allowed))
        .group_by(ChosenArtist.artist)
        .subquery("chosen")
    )


def _in_state(mine: FromClause, state: State | None) -> ColumnElement[bool]:
    """Make the condition for an owner's artists in a state."""
    if state is None:
        return literal(True)
    if state == "followed":
        return mine.c.followed
    if state == "wanted":
        return mine.c.choice.is_distinct_from("ignored")
    return mine.c.choice == state


def _listed(mine: FromClause, state: State | None) -> list[Any]:
    """Make the order of an owner's artists in a state."""
    latest = [mine.c.chosen_at.desc(), mine.c.artist]
    if state in ("watched", "ignored"):
        return latest
    return [mine.c.whose, mine.c.position, mine.c.choice.desc(), *latest]
