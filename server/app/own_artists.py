"""Builds what serves the artists of owners, and their releases."""

from collections.abc import Callable
from datetime import datetime

from server.app.following import Following
from server.config.settings import Settings
from server.database.admission import Admission, AdmittedDatabase
from server.database.executor import Database
from server.following.artist_list import ArtistList
from server.following.choices import Choices
from server.following.my_releases import MyReleases
from server.serving.cache import PayloadCache
from server.threads import Threads


class OwnArtists:
    """The releases of each owner's artists, the list of these, and the choices that change it.

    `following` looks the artists up; `origin` names this process in notifications.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        cache: PayloadCache,
        builders: Threads,
        admission: Admission,
        now: Callable[[], datetime],
        origin: str,
        following: Following,
    ) -> None:
        admitted = AdmittedDatabase(database, admission)
        most = settings.budget.mine
        self._following = following
        self.refresh_list = following.lists.refresh
        allowed = settings.allowed_users
        self.my_releases = MyReleases(database, cache, allowed, builders.call, now, most, admission)
        self.artist_list = ArtistList(
            admitted, settings.public_url, allowed, following.calls_a_day, now
        )
        self.choices = Choices(admitted, self.changed, builders.call, now, origin)

    async def changed(self) -> None:
        """Follow a change of an owner's artists, whichever process stored it."""
        self.my_releases.forget()
        await self._following.changed()
