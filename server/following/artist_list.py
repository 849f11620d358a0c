"""The list of an owner's artists: why each is in it, and when its releases are looked up."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from server.catalog.my_queries import FollowingQuery
from server.database.admission import AdmittedDatabase
from server.following import rotation
from server.following.rotation import RotationOutlook
from server.storage import artist_checks, following, my_releases
from server.storage.following import ListState, MyArtists
from server.storage.my_releases import ArtistCheckState


@dataclass(frozen=True)
class OwnState:
    """The artists of an owner, how often they are looked up, and its list on Spotify."""

    artists: MyArtists
    outlook: RotationOutlook
    spotify_list: ListState

    @property
    def next_check_at(self) -> datetime | None:
        """When the next of the wanted artists is looked up, if that is planned."""
        return self.outlook.upcoming[0][1] if self.outlook.upcoming else None


class ArtistList:
    """Reads the artists of owners from the database; `root` is this server's URL.

    `calls_a_day` returns how many calls look-ups may make, `now` the time.
    """

    def __init__(
        self,
        database: AdmittedDatabase,
        root: str,
        calls_a_day: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._database, self._root = database, root
        self._calls_a_day, self._now = calls_a_day, now

    async def page(self, owner: str | None, query: FollowingQuery) -> dict[str, Any]:
        """Return a page of an owner's artists. Raises Overloaded or a DatabaseError."""
        return await self._database.run(self._read, owner, query)

    async def state(self, owner: str | None) -> OwnState:
        """Return how far Freshet is with an owner's artists. Raises as `page` does."""
        return await self._database.run(self._state, owner)

    def _read(self, session: Any, owner: str | None, query: FollowingQuery) -> dict[str, Any]:
        state = self._state(session, owner)
        mine = state.artists
        listed = _in_state(mine, query.state)
        page = list(listed.items())[query.offset : query.offset + query.limit]
        states = my_releases.check_states(session, [artist for artist, _ in page])
        following_page, preceding = self._neighbours(query, len(listed))
        return {
            "items": [_item(mine, artist, name, states.get(artist)) for artist, name in page],
            "count": len(page),
            "total": len(listed),
            "limit": query.limit,
            "offset": query.offset,
            "href": self._root + query.href,
            "next": following_page,
            "previous": preceding,
            "followed": len(mine.followed),
            "watched": len(mine.watched),
            "ignored": len(mine.ignored),
            "wanted": state.outlook.artists,
            "checked": state.outlook.checked,
            "checked_within_a_week": state.outlook.recently,
            "failing": state.outlook.failing,
            "calls_a_day": state.outlook.calls_a_day,
            "days_between_checks": round(state.outlook.days_between, 1),
            "next_check_at": state.next_check_at,
            "spotify_list": asdict(state.spotify_list),
        }

    def _state(self, session: Any, owner: str | None) -> OwnState:
        mine = following.read_mine(session, owner)
        everyone = mine.wanted if owner is None else following.wanted(session)
        schedules = artist_checks.read_schedules(session, [*everyone])
        outlook = rotation.outlook(list(mine.wanted), schedules, self._calls_a_day(), self._now())
        listed = ListState() if owner is None else following.list_state(session, owner)
        return OwnState(mine, outlook, listed)

    def _neighbours(self, query: FollowingQuery, total: int) -> tuple[str | None, str | None]:
        """Return the addresses of the next and of the previous page, if any."""
        after, before = query.offset + query.limit, max(query.offset - query.limit, 0)
        following_page = query.model_copy(update={"offset": after}).href if after < total else None
        preceding = query.model_copy(update={"offset": before}).href if query.offset else None
        following_url, preceding_url = (
            path and self._root + path for path in (following_page, preceding)
        )
        return following_url, preceding_url


def _in_state(mine: MyArtists, state: str | None) -> dict[str, str | None]:
    if state is not None:
        chosen: dict[str, str | None] = dict(getattr(mine, state))
        return chosen
    every: dict[str, str | None] = {}
    for artists in (mine.followed, mine.watched, mine.ignored):
        for artist, name in artists.items():
            every[artist] = every.get(artist) or name
    return every


def _item(
    mine: MyArtists, artist: str, name: str | None, state: ArtistCheckState | None
) -> dict[str, Any]:
    choice = "ignored" if artist in mine.ignored else "watched" if artist in mine.watched else None
    return {
        "spotify_id": artist,
        "name": name,
        "followed": artist in mine.followed,
        "choice": choice,
        **asdict(state or ArtistCheckState()),
    }
