"""Which handler answers which path of the stand-in."""

from typing import Final

from server.standin import site
from server.standin.accounts import accounts
from server.standin.handler import StandInHandler
from server.standin.web_api import browse, me, webapi

ROUTES: Final[tuple[tuple[str, type[StandInHandler]], ...]] = (
    (r"/authorize", accounts.AuthorizeHandler),
    (r"/api/token", accounts.TokenHandler),
    (r"/v1/browse/new-releases", browse.NewReleasesHandler),
    (r"/v1/search", browse.SearchHandler),
    (r"/v1/artists", browse.ArtistsHandler),
    (r"/v1/artists/([^/]+)", browse.ArtistHandler),
    (r"/v1/artists/([^/]+)/albums", browse.ArtistAlbumsHandler),
    (r"/v1/albums", browse.AlbumsHandler),
    (r"/v1/albums/([^/]+)", browse.AlbumHandler),
    (r"/v1/me", me.MeHandler),
    (r"/v1/me/following", me.FollowingHandler),
    (r"/v1/.*", webapi.ServiceNotFoundHandler),
    (r"/image/([^/]+)", site.ImageHandler),
    (r"/open/(album|artist|track|user)/([^/]+)", site.OpenHandler),
    (r"/", site.WallHandler),
)
"""Patterns of whole paths; the first that fits counts. What none fits is `site`'s to answer."""
