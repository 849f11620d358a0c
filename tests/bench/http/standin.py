"""The stand-in for Spotify in a process of its own: `python -m tests.bench.http.standin FD`."""

import asyncio
from datetime import date, timedelta
from typing import Any

from tornado.ioloop import PeriodicCallback

from server.standin import AppKind, Catalogue, StandIn
from tests.bench.http.control import obey

CHANGE_SECONDS = 0.25


class LongCatalogue(Catalogue):
    """Shows all that it has, where Spotify shows a hundred."""

    def new(self, today: date) -> list[Any]:
        return self.albums


class Changing:
    """A stand-in whose albums take other names again and again."""

    def __init__(self) -> None:
        self._standin = StandIn(kind=AppKind.RESTRICTED)
        self._names: list[str] = []
        self._changed = 0
        self._round = 0
        self._timer = PeriodicCallback(self._change, CHANGE_SECONDS * 1000)

    async def start(self, size: int) -> str:
        """Show so many releases; its address."""
        # One day more than are asked for: they are listed by their age in days.
        today = date.today() - timedelta(days=1)
        catalogue = LongCatalogue.generate(today=today, size=size, quirks=False)
        self._standin.catalogue = catalogue
        self._names = [album["name"] for album in catalogue.albums]
        if not self._standin.port:
            self._standin.start()
        return self._standin.accounts_url

    async def change(self, count: int) -> None:
        """From now on, so many albums change at a time, others each time; 0 stops that."""
        self._changed = count
        self._timer.start() if count else self._timer.stop()

    def _change(self) -> None:
        albums = self._standin.catalogue.albums
        self._round += 1
        for number in range(self._round * self._changed, (self._round + 1) * self._changed):
            place = number % len(albums)
            albums[place] = albums[place] | {"name": f"{self._names[place]} {self._round}"}


async def main() -> None:
    changing = Changing()
    await obey({"start": changing.start, "change": changing.change})


if __name__ == "__main__":
    asyncio.run(main())
