"""The list of an owner's artists: why each is in it, and when its releases are looked up."""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from server.catalog.my_queries import FollowingQuery
from server.database.admission import AdmittedDatabase
from server.following import overview_store, rotation
from server.following.overview_store import ArtistCounts, ListedArtist
from server.following.rotation import RotationOutlook
from server.storage import following, my_releases
from server.storage.following import ListState
from server.storage.my_releases import ArtistCheckState


@dataclass(frozen=True)
class OwnState:
    """How many artists an owner has, how often they are looked up, and its list on Spotify."""

    counts: ArtistCounts
    outlook: RotationOutlook
    spotify_list: ListState

    @property
    def next_check_at(self) -> datetime | None:
        """When the next of the wanted artists is looked up, if that is planned."""
        return self.outlook.upcoming[0][1] if self.outlook.upcoming else None


class ArtistList:
    """Reads the artists of owners from the database; `root` is this server's URL.

    `allowed` are the accounts that may log in, empty for all. `calls_a_day` returns how many calls
    look-ups may make, `now` the time.
    """

    def __init__(
        self,
        database: AdmittedDatabase,
        root: str,
        allowed: Collection[str],
        calls_a_day: Callable[[], int],
        now: Callable[[], datetime],
    ) -> None:
        self._database, self._root, self._allowed = database, root, allowed
        self._calls_a_day, self._now = calls_a_day, now

    async def page(self, owner: str | None, query: FollowingQuery) -> dict[str, Any]:
        """Return a page of an owner's artists. Raises Overloaded or a DatabaseError."""
        return await self._database.run(self._read, owner, query)

    async def state(self, owner: str | None) -> OwnState:
        """Return how far Freshet is with an owner's artists. Raises as `page` does."""
        return await self._database.run(self._state, owner)

    def _read(self, session: Any, owner: str | None, query: FollowingQuery) -> dict[str, Any]:
        state = self._state(session, owner)
        counts, outlook = state.counts, state.outlook
        numbers = asdict(counts) | {"wanted": outlook.artists}
        total = numbers[query.state or "every"]
        page = overview_store.page(
            session, owner, self._allowed, query.state, query.limit, query.offset
        )
        checks = my_releases.check_states(session, [each.artist for each in page])
        following_page, preceding = self._neighbours(query, total)
        return {
            "items": [_item(each, checks.get(each.artist)) for each in page],
            "count": len(page),
            "total": total,
            "limit": query.limit,
            "offset": query.offset,
            "href": self._root + query.href,
            "next": following_page,
            "previous": preceding,
            "followed": counts.followed,
            "watched": counts.watched,
            "ignored": counts.ignored,
            "wanted": outlook.artists,
            "checked": outlook.checked,
            "checked_within_a_week": outlook.recently,
            "failing": outlook.failing,
            "calls_a_day": outlook.calls_a_day,
            "days_between_checks": round(outlook.days_between, 1),
            "next_check_at": state.next_check_at,
            "spotify_list": asdict(state.spotify_list),
        }

    def _state(self, session: Any, owner: str | None) -> OwnState:
        now = self._now()
        counts = overview_store.count(session, owner, self._allowed)
        queue = overview_store.queue(session, owner, self._allowed, now)
        outlook = rotation.outlook(queue, self._calls_a_day(), now)
        listed = ListState() if owner is None else following.list_state(session, owner)
        return OwnState(counts, outlook, listed)

    def _neighbours(self, query: FollowingQuery, total: int) -> tuple[str | None, str | None]:
        """Return the addresses of the next and of the previous page, if any."""
        after, before = query.offset + query.limit, max(query.offset - query.limit, 0)
        following_page = query.model_copy(update={"offset": after}).href if after < total else None
        preceding = query.model_copy(update={"offset": before}).href if query.offset else None
        following_url, preceding_url = (
            path and self._root + path for path in (following_page, preceding)
        )
        return following_url, preceding_url


def _item(listed: ListedArtist, checked: ArtistCheckState | None) -> dict[str, Any]:
    return {
        "spotify_id": listed.artist,
        "name": listed.name,
        "followed": listed.followed,
        "choice": listed.choice,
        **asdict(checked or ArtistCheckState()),
    }
