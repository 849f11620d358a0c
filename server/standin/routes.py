"""The routes of the stand-in: which handler answers which path."""

from typing import Final

from server.standin import public_pages
from server.standin.accounts import handlers as accounts
from server.standin.handler import StandInHandler
from server.standin.web_api import base, catalogue, library, me

ROUTES: Final[tuple[tuple[str, type[StandInHandler]], ...]] = (
    (r"/authorize", accounts.AuthorizeHandler),
    (r"/api/token", accounts.TokenHandler),
    (r"/v1/browse/new-releases", catalogue.NewReleasesHandler),
    (r"/v1/search", catalogue.SearchHandler),
    (r"/v1/artists", catalogue.ArtistsHandler),
    (r"/v1/artists/([^/]+)", catalogue.ArtistHandler),
    (r"/v1/artists/([^/]+)/albums", catalogue.ArtistAlbumsHandler),
    (r"/v1/albums", catalogue.AlbumsHandler),
    (r"/v1/albums/([^/]+)", catalogue.AlbumHandler),
    (r"/v1/me", me.MeHandler),
    (r"/v1/me/following", me.FollowingHandler),
    (r"/v1/me/following/contains", library.FollowingContainsHandler),
    (r"/v1/me/library", library.LibraryHandler),
    (r"/v1/me/library/contains", library.LibraryContainsHandler),
    (r"/v1/tracks", catalogue.TracksHandler),
    (r"/v1/.*", base.ServiceNotFoundHandler),
    (r"/image/([^/]+)", public_pages.ImageHandler),
    (r"/open/(album|artist|track|user)/([^/]+)", public_pages.OpenHandler),
    (r"/", public_pages.ListingHandler),
)
"""Patterns of complete paths; the first match counts. Other paths get a 404 page."""
