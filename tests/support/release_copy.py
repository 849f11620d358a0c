"""Keep a copy of all releases of a Freshet server, and print each change as it happens.

It needs nothing but Python: python release_copy.py http://127.0.0.1:5000
"""

import json
import sys
import time
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

LIST = "/api/albums/?upcoming=include&limit={}"
LATER = (429, 500, 502, 503, 504)  # asked too often, or the server is stopped or replaced


class ReleaseCopy:
    """The releases of a server, by Spotify's id, as they are at `place` in its journal.

    Store both in one transaction, and start from there. `pause` is in seconds; `limit` is the
    number of releases or changes that are requested at once.
    """

    def __init__(self, server: str, pause: float = 5, limit: int = 100) -> None:
        self.server, self.pause, self.limit = server, pause, limit
        self.releases: dict[str, Any] = {}
        self.place = ""  # before the first list
        self.closed = False

    def catch_up(self) -> None:
        """Bring the copy up to date; read all releases first, or again if changes were missed."""
        up_to_date = False
        while not up_to_date and not self.closed:
            if not self.place:
                self.read_all()
            page = self.changes(self.place, self.limit)
            if page is None:  # the journal does not reach back to this place
                self.place = ""
                continue
            for change in page["items"]:
                if change["stored"] is None:
                    self.releases.pop(change["album"], None)
                else:
                    self.releases[change["album"]] = change["stored"]
            self.place, up_to_date = page["place"], page["up_to_date"]

    def read_all(self) -> None:
        """Read the list; then the copy is as old as the oldest of its pages."""
        while not self.closed:
            pages, address = [], self.server + LIST.format(self.limit)
            while address and (page := self.get(address)):
                pages.append(page)
                address = page["next"]
            places = {page["place"] for page in pages}
            if not address and all(self.changes(place, 1) for place in places):
                items = [release for page in pages for release in page["items"]]
                self.releases = {release["spotify_id"]: release for release in items}
                self.place = min(places, key=lambda place: int(place.partition("-")[0]))
                return
            self.wait(self.pause)  # the database was restored, and a server or cache is behind

    def changes(self, place: str, limit: int) -> Any:
        """Request a page of the journal; None if it does not reach back to this place."""
        query = urlencode({"after": place, "include": "stored", "limit": limit})
        return self.get(f"{self.server}/api/changes/?{query}")

    def follow(self) -> Iterator[dict[str, Any]]:
        """Yield changes as they happen, once the copy has them; a `reset` if some were missed."""
        self.catch_up()
        for changes in self.listen(self.place):
            self.catch_up()
            yield from changes

    def listen(self, place: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the changes after a place that have arrived, again and again, reconnecting."""
        while not self.closed:
            try:
                address = f"{self.server}/api/events?unnamed=1"
                with self.open(address, {"Last-Event-ID": place}) as stream:
                    for heard in events(stream):
                        place = heard[-1][0]
                        yield [change for _, change in heard]
            except (OSError, HTTPException, ValueError):  # also an event that was cut off
                pass
            self.wait(self.pause)

    def get(self, address: str) -> Any:
        """Return the JSON at an address; None if its place (410) or cursor (400) is refused."""
        while True:
            try:
                with self.open(address) as answer:
                    return json.load(answer)
            except HTTPError as error:
                if error.code in (400, 410):
                    return None
                if error.code not in LATER:
                    raise
                self.wait(float(error.headers.get("Retry-After", self.pause)))
            except (OSError, HTTPException, ValueError):  # also an answer that was cut off
                self.wait(self.pause)

    def open(self, address: str, headers: dict[str, str] | None = None) -> Any:
        return urlopen(Request(address, headers=headers or {}), timeout=60)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def events(stream: Any) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield the place and the data of the events that have arrived; one cut off is left out."""
    rest = b""
    while block := stream.read1(100_000):
        *whole, rest = (rest + block).split(b"\n\n")
        lines = [event.decode().split("\n") for event in whole]
        fields = [dict(line.partition(": ")[::2] for line in event) for event in lines]
        if heard := [(each["id"], json.loads(each["data"])) for each in fields if "data" in each]:
            yield heard


if __name__ == "__main__":
    for change in ReleaseCopy(sys.argv[1]).follow():
        print(change["kind"], (change.get("release") or {}).get("name", ""), flush=True)
