"""The stand-in's public pages in a browser: covers, and the pages that links lead to."""

from typing import Final

from server.standin.accounts.pages import item_page, listing_page
from server.standin.artwork.covers import draw
from server.standin.catalogue.spotify_objects import ORIGIN, Json, credited, full_artist
from server.standin.handler import StandInHandler

_YEAR: Final = 31_536_000


class ImageHandler(StandInHandler):
    """GET /image/{id}: a cover or portrait, which never changes."""

    def get(self, image_id: str) -> None:
        """Send the SVG, or 404."""
        picture = draw(image_id)
        if picture is None:
            self.send_error(404)
            return
        self.set_header("Content-Type", "image/svg+xml")
        self.set_header("Cache-Control", f"public, max-age={_YEAR}, immutable")
        self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(picture)


class OpenHandler(StandInHandler):
    """GET /open/{kind}/{id}: the page to which links of albums, artists and tracks lead."""

    def get(self, kind: str, identifier: str) -> None:
        """Send the page of an album or artist, a plain one for other kinds, or 404."""
        catalogue = self.world.catalogue
        if kind == "album" and (album := catalogue.album(identifier)):
            self.send_page(_album_page(album))
        elif kind == "artist" and (artist := catalogue.artists().get(identifier)):
            self.send_page(_artist_page(artist, catalogue.discography(identifier)))
        elif kind in ("album", "artist"):
            self.send_page(item_page("Page not found", f"This catalogue has no such {kind}."), 404)
        else:
            self.send_page(item_page(f"A {kind}", f"The stand-in has no page for a {kind}."))


class ListingHandler(StandInHandler):
    """GET /: the covers of the listing."""

    def get(self) -> None:
        """Send a page with every album of the listing that has a cover."""
        covers = [
            (_address(album), image, str(album.get("name")), _credits(album))
            for album in self.world.catalogue.listing()
            if isinstance(album, dict) and (image := _image(album, 300))
        ]
        self.send_page(listing_page("New releases in the stand-in", covers))


class NotFoundHandler(StandInHandler):
    """Any other path."""

    def get(self) -> None:
        """Send a 404 page."""
        self.send_page(item_page("Page not found", "The stand-in has no such page."), 404)


def _album_page(album: Json) -> bytes:
    kind, day = album.get("album_type"), album.get("release_date")
    about = f"{str(kind).capitalize()}, released {day}. By:"
    links = [(_address(artist), str(artist.get("name"))) for artist in credited(album)]
    return item_page(str(album.get("name")), about, _image(album, 640), links)


def _artist_page(artist: Json, albums: list[Json]) -> bytes:
    full = full_artist(artist)
    about = f"An invented artist with {full['followers']['total']:,} followers. In the listing:"
    links = [(_address(album), str(album.get("name"))) for album in albums]
    return item_page(str(artist.get("name")), about, _image(full, 640), links)


def _credits(album: Json) -> list[str]:
    return [str(artist.get("name")) for artist in credited(album)]


def _address(item: Json) -> str:
    return f"/open/{item.get('type')}/{item.get('id')}"


def _image(item: Json, width: int) -> str | None:
    found = [image["url"] for image in item.get("images") or () if image.get("width") == width]
    return str(found[0]).removeprefix(ORIGIN) if found else None
