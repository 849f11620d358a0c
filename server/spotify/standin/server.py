"""The stand-in itself: wires its parts, listens on a port, and publishes as time goes by."""

from collections import deque
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from socket import AF_INET, AF_INET6, create_server

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from server.spotify.standin import accounts, browse, me, site, webapi
from server.spotify.standin.catalogue import Catalogue
from server.spotify.standin.handler import query_of
from server.spotify.standin.objects import Json
from server.spotify.standin.tokens import TokenDesk
from server.spotify.standin.world import Answer, AppKind, Call, Listener, World

_CALLS_KEPT = 10_000


def utc_now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class StandIn:
    """Spotify's accounts service, Web API and covers, imitated on one port of this machine.

    `kind` decides what the Web API allows; without a `catalogue` one is generated for the
    clock's day. `publish_every` is in seconds; None publishes only when `publish` is called.
    """

    def __init__(
        self,
        *,
        kind: AppKind = AppKind.RESTRICTED,
        client_id: str = "standin-client",
        client_secret: str = "standin-secret",  # noqa: S107 - it guards invented data
        redirect_uris: Collection[str] = ("http://127.0.0.1:5000/auth/callback/",),
        catalogue: Catalogue | None = None,
        clock: Callable[[], datetime] = utc_now,
        publish_every: float | None = None,
    ) -> None:
        self.world = World(
            kind=kind,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=redirect_uris,
            catalogue=catalogue or Catalogue.generate(today=clock().astimezone(UTC).date()),
            clock=clock,
            desk=TokenDesk(client_secret, clock),
        )
        self.calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        self.port = 0
        self._server: HTTPServer | None = None
        self._publishing = (
            PeriodicCallback(self._publish, publish_every * 1000) if publish_every else None
        )

    def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on the current IOLoop; port 0 takes a free one, a busy one raises OSError."""
        # Not tornado.netutil.bind_sockets: where the port is busy, it leaves its socket open.
        family = AF_INET6 if ":" in host else AF_INET
        listening = create_server((host, port), family=family, backlog=128)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self.world.base_url = f"http://{_reachable(host)}:{self.port}"
        self._server = HTTPServer(self._application())
        self._server.add_socket(listening)
        if self._publishing:
            self._publishing.start()

    async def stop(self) -> None:
        """Stop publishing and listening, and close what is open."""
        if self._publishing:
            self._publishing.stop()
        if self._server:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None

    @property
    def accounts_url(self) -> str:
        """Where the accounts service is, without a slash at the end."""
        return self.world.base_url

    @property
    def api_url(self) -> str:
        """Where the Web API is, without a slash at the end."""
        return f"{self.world.base_url}/v1"

    @property
    def catalogue(self) -> Catalogue:
        """What there is to find; a test may put things into it or replace it."""
        return self.world.catalogue

    @catalogue.setter
    def catalogue(self, catalogue: Catalogue) -> None:
        self.world.catalogue = catalogue

    @property
    def listener(self) -> Listener:
        """Who agrees on the consent page from now on; tokens given out before keep theirs."""
        return self.world.listener

    @listener.setter
    def listener(self, listener: Listener) -> None:
        self.world.listener = listener

    @property
    def rotate_refresh_tokens(self) -> bool:
        """Whether a refresh brings a new refresh token and revokes the old; usually it does not."""
        return self.world.desk.rotate

    @rotate_refresh_tokens.setter
    def rotate_refresh_tokens(self, rotate: bool) -> None:
        self.world.desk.rotate = rotate

    def calls_to(self, path_prefix: str) -> int:
        """How many of the last 10 000 requests asked for a path that starts so."""
        return sum(call.path.startswith(path_prefix) for call in self.calls)

    def answer_next(self, path: str, answer: Answer, times: int = 1) -> None:
        """Let the next `times` requests of exactly this path, query apart, get this answer."""
        self.world.script.setdefault(path, []).extend([answer] * times)

    def expire_tokens(self) -> None:
        """Let every access token handed out so far be answered as expired."""
        self.world.desk.kill("access")

    def revoke_refresh_tokens(self) -> None:
        """Let every refresh token handed out so far be answered as revoked."""
        self.world.desk.kill("refresh")

    def publish(self) -> Json:
        """Put a new release, dated today by the clock, at the top of the listing."""
        return self.world.catalogue.publish(self.world.clock())

    def _publish(self) -> None:
        self.publish()

    def _record(self, handler: RequestHandler) -> None:
        request = handler.request
        query = query_of(request.query)
        call = Call(request.method or "", request.path, query, handler.get_status())
        self.calls.append(call)

    def _application(self) -> Application:
        world = {"world": self.world}
        routes = [
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
        ]
        return Application(
            [(pattern, handler, world) for pattern, handler in routes],
            default_handler_class=site.NotFoundHandler,
            default_handler_args=world,
            log_function=self._record,
        )


def _reachable(host: str) -> str:
    """The host part of an address that leads to a socket bound to `host`."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - told apart, not bound
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host
