"""What `/my/` says of an owner's artists: how many there are, and how far Freshet is. Pure."""

from datetime import datetime
from typing import ClassVar

from handlers.pages.presenters.formatting import counted, duration, grouped, moment
from handlers.pages.presenters.grid_links import ReleaseGridQuery
from server.catalog.my_queries import HOME, MY_FEEDS
from server.catalog.query import ReleaseQuery
from server.following.artist_list import OwnState
from server.following.overview_store import ArtistCounts
from server.storage.following import ListState

MOST_UPCOMING = 5  # releases in the row above the wall
BY_HAND = "by the buttons on covers and on their pages, or by the import below."


class MyGridQuery(ReleaseGridQuery):
    """The parameters of `GET /my/`: those of `/`."""

    path: ClassVar[str] = HOME
    feeds: ClassVar[tuple[type[ReleaseQuery], ...]] = MY_FEEDS


def upcoming_row(query: ReleaseGridQuery) -> ReleaseGridQuery | None:
    """Return the query of the upcoming releases above the wall; None where no row is shown.

    It has the filters of the wall, and is shown on its first page only.
    """
    if query.upcoming != "exclude" or not query.is_first or query.at:
        return None
    changes = {"upcoming": "only", "sort": "released", "limit": MOST_UPCOMING, "offset": None}
    return query.model_copy(update=changes)


def summary(counts: ArtistCounts) -> str:
    """Count the artists: 160 followed, 2 watched, 1 ignored."""
    parts = [
        f"{grouped(number)} {word}"
        for number, word in (
            (counts.followed, "followed"),
            (counts.watched, "watched"),
            (counts.ignored, "ignored"),
        )
        if number
    ]
    return ", ".join(parts) or "None yet"


def state_of_list(state: ListState, counts: ArtistCounts) -> str:
    """Say what is known of the account's list on Spotify."""
    if state.error is not None:
        since = f"; it is as of {moment(state.read_at)}" if state.read_at else ""
        return f"Your list on Spotify could not be read: {state.error}{since}."
    if state.read_at is None:
        return "Your list on Spotify has not been read yet."
    if not counts.followed:
        return f"You follow nobody on Spotify, as of {moment(state.read_at)}."
    return f"Your list on Spotify was read on {moment(state.read_at)}."


def nobody_yet(state: ListState, *, follows: bool) -> str:
    """Say how to get artists; `follows` says whether the account's list on Spotify is read."""
    if not follows:
        return f"No artists yet. Watch some {BY_HAND}"
    if state.read_at is None and state.error is None:
        return "Your list on Spotify has not been read yet. Reload this page in a moment."
    return f"No artists yet. Follow some on Spotify, or watch them here {BY_HAND}"


def state_of_checks(state: OwnState, now: datetime) -> str:
    """Say how often artists are looked up, and how complete that is; "" without any artist."""
    outlook = state.outlook
    if not outlook.artists:
        return ""
    done = f"{grouped(outlook.checked)} of {counted(outlook.artists, 'artist')}"
    late = outlook.artists - outlook.recently
    if outlook.checked < outlook.artists:
        text = f"The releases of {done} have been looked up so far; the others follow."
    elif late:
        text = f"{counted(late, 'artist')} not looked up within the last week."
    else:
        text = "All of them were looked up within the last week."
    if outlook.failing:
        text += f" The last look-up of {counted(outlook.failing, 'artist')} failed."
    several = f"Each of your {grouped(outlook.artists)} artists"
    mine = "Your artist" if outlook.artists == 1 else several
    calls = f"Freshet may make {counted(outlook.calls_a_day, 'call')} to Spotify a day"
    often = f"{mine} is looked up {outlook.every}; for those of all accounts, {calls}."
    return f"{often} {text}{_next(state, now)}"


def _next(state: OwnState, now: datetime) -> str:
    at = state.next_check_at
    if at is None:
        return ""
    left = (at - now).total_seconds()
    return f" Next: in {duration(left)}." if left >= 1 else " Next: now."
