"""What people see of the stand-in in a browser: covers, and pages where links lead."""

from typing import Final

from server.standin.accounts.pages import item_page, wall_page
from server.standin.artwork.covers import draw
from server.standin.catalogue.spotify_objects import ORIGIN, Json, credited, full_artist
from server.standin.handler import StandInHandler

_YEAR: Final = 31_536_000


class ImageHandler(StandInHandler):
    """GET /image/{id}: a cover or portrait, the same for ever."""

    def get(self, image_id: str) -> None:
        """The SVG, or 404."""
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
    """GET /open/{kind}/{id}: where the links of albums, artists and tracks lead."""

    def get(self, kind: str, identifier: str) -> None:
        """The page of an album or artist; a plain one for the rest; 404 for the unknown."""
        catalogue = self.world.catalogue
        if kind == "album" and (album := catalogue.album(identifier)):
            self.send_page(_album_page(album))
        elif kind == "artist" and (artist := catalogue.artists().get(identifier)):
            self.send_page(_artist_page(artist, catalogue.discography(identifier)))
        elif kind in ("album", "artist"):
            self.send_page(item_page("Nothing here", f"No such {kind} in this catalogue."), 404)
        else:
            self.send_page(item_page(f"A {kind}", f"The stand-in keeps no pages for a {kind}."))


class WallHandler(StandInHandler):
    """GET /: the listing as a wall of covers."""

    def get(self) -> None:
        """Every album of the listing that has a cover."""
        covers = [
            (_address(album), image, str(album.get("name")), _credits(album))
            for album in self.world.catalogue.listing()
            if isinstance(album, dict) and (image := _image(album, 300))
        ]
        self.send_page(wall_page("New releases in the stand-in", covers))


class NotFoundHandler(StandInHandler):
    """Any path that is nowhere else."""

    def get(self) -> None:
        """404, as a page."""
        self.send_page(item_page("Nothing here", "The stand-in has no such page."), 404)


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
