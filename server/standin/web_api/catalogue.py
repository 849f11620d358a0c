"""The Web API's catalogue: new releases, search, albums and artists."""

from datetime import UTC
from typing import Any, Final

from server.standin.catalogue.releases import MARKETS
from server.standin.catalogue.spotify_objects import Json, full_album, full_artist
from server.standin.web_api.base import ApiHandler
from server.standin.web_api.paging import BadRequestError, window
from server.standin.web_api.search import find, searched_types

MOST_RESULTS: Final = 1000
"""The maximum of `limit` + `offset` of a search."""
LONGEST_QUERY: Final = 250
"""The maximum length of a search's `q` in characters."""


def in_market(items: list[Any], market: str) -> list[Any]:
    """Return `items` as one market sees them, without those known not to be available there.

    `is_playable` replaces `available_markets`, as Spotify does whenever a market is given.
    """
    seen = []
    for item in items:
        if isinstance(item, dict) and item.get("type") == "album":
            known = item.get("available_markets")
            if known and isinstance(known, list) and market not in known:
                continue
            item = _playable(item)
        seen.append(item)
    return seen


def _playable(album: Json) -> Json:
    rest = {name: value for name, value in album.items() if name != "available_markets"}
    return rest | {"is_playable": True}


class CatalogueHandler(ApiHandler):
    """The base of the catalogue's handlers."""

    def market(self) -> str | None:
        """Return the requested market, None without one. Raises BadRequestError if invalid."""
        market = self.query.get("market")
        if market and market in self.world.unlaunched:
            raise BadRequestError("Unlaunched market")
        if market and market not in MARKETS:
            raise BadRequestError("Invalid market code")
        return market or None

    def ids(self, most: int) -> list[str]:
        """Return the requested ids. Raises BadRequestError for none or more than `most`."""
        ids = [identifier for identifier in self.query.get("ids", "").split(",") if identifier]
        if not ids:
            raise BadRequestError("Missing required field: ids")
        if len(ids) > most:
            raise BadRequestError("Too many ids requested")
        return ids

    def full_album(self, identifier: str) -> Json | None:
        """Return the full album with that id as the requested market sees it, None without one."""
        market, album = self.market(), self.world.catalogue.album(identifier)
        if album is None:
            return None
        return full_album(_playable(album) if market else album)


class NewReleasesHandler(CatalogueHandler):
    """GET /v1/browse/new-releases, which restricted apps may not use."""

    @property
    def paged(self) -> bool:
        """True unless the app is restricted."""
        return not self.world.restricted

    def get(self) -> None:
        """Send a page of the listing."""
        if self.world.restricted:
            self.send_error_object(403, "Forbidden")
            return
        requested = window(self.query, default=20, most=50)
        listing = self.world.catalogue.listing()
        self.send_page_of(listing, "/browse/new-releases", requested, {}, under="albums")


class SearchHandler(CatalogueHandler):
    """GET /v1/search for albums and artists."""

    @property
    def paged(self) -> bool:
        """Always True."""
        return True

    def get(self) -> None:
        """Send a page of results for each requested type.

        Links use `query` in place of `q`, so both names are accepted.
        """
        text = self.query.get("q") or self.query.get("query")
        if not text:
            raise BadRequestError("No search query")
        if len(text) > LONGEST_QUERY:
            raise BadRequestError("Query exceeds maximum length")
        kinds = searched_types(self.query)
        default, most = (5, 10) if self.world.restricted else (20, 50)
        requested = window(self.query, default=default, most=most)
        if requested.limit + requested.offset > MOST_RESULTS:
            raise BadRequestError("Limit + Offset exceeds maximum of 1000")
        market = self.market()
        query = {"query": text, "type": ",".join(kinds)} | ({"market": market} if market else {})
        today = self.world.clock().astimezone(UTC).date()
        answer = {}
        for kind in kinds:
            found = find(self.world, text, kind, today)
            if kind == "artist":
                found = [full_artist(artist) for artist in found]
            found = in_market(found, market) if market else found
            answer[f"{kind}s"] = self.page_of(found, "/search", requested, query)
        self.send_object(answer)


class ArtistHandler(CatalogueHandler):
    """GET /v1/artists/{id}."""

    def get(self, identifier: str) -> None:
        """Send one artist."""
        artist = self.world.catalogue.artists().get(identifier)
        if artist is None:
            self.send_error_object(404, "Resource not found")
        else:
            self.send_object(full_artist(artist))


class ArtistsHandler(CatalogueHandler):
    """GET /v1/artists?ids=, which restricted apps may not use."""

    def get(self) -> None:
        """Send up to 50 artists in the requested order, null for unknown ids."""
        if self.world.restricted:
            self.send_error_object(403, "Forbidden")
            return
        known = self.world.catalogue.artists()
        found = [known.get(identifier) for identifier in self.ids(most=50)]
        self.send_object({"artists": [artist and full_artist(artist) for artist in found]})


class ArtistAlbumsHandler(CatalogueHandler):
    """GET /v1/artists/{id}/albums, group after group, the newest album first in each."""

    @property
    def paged(self) -> bool:
        """Always True."""
        return True

    def get(self, identifier: str) -> None:
        """Send a page of the albums that credit the artist."""
        if identifier not in self.world.catalogue.artists():
            self.send_error_object(404, "Resource not found")
            return
        default, most = (5, 10) if self.world.restricted else (20, 50)
        requested = window(self.query, default=default, most=most)
        groups = self.query.get("include_groups", "album,single,compilation,appears_on")
        albums = self.world.catalogue.discography(identifier)
        albums = [album for album in albums if album["album_group"] in groups.split(",")]
        market = self.market()
        albums = in_market(albums, market) if market else albums
        query = {"include_groups": groups} | ({"market": market} if market else {})
        self.send_page_of(albums, f"/artists/{identifier}/albums", requested, query)


class TracksHandler(CatalogueHandler):
    """GET /v1/tracks?ids=, which restricted apps may not use."""

    def get(self) -> None:
        """Send null for each id: the stand-in knows tracks only in their albums."""
        if self.world.restricted:
            self.send_error_object(403, "Forbidden")
            return
        self.send_object({"tracks": [None for _ in self.ids(most=50)]})


class AlbumHandler(CatalogueHandler):
    """GET /v1/albums/{id}."""

    def get(self, identifier: str) -> None:
        """Send one album with its tracks."""
        album = self.full_album(identifier)
        if album is None:
            self.send_error_object(404, "Resource not found")
        else:
            self.send_object(album)


class AlbumsHandler(CatalogueHandler):
    """GET /v1/albums?ids=, which restricted apps may not use."""

    def get(self) -> None:
        """Send up to 20 albums in the requested order, null for unknown ids."""
        if self.world.restricted:
            self.send_error_object(403, "Forbidden")
            return
        self.send_object({"albums": [self.full_album(identifier) for identifier in self.ids(20)]})
