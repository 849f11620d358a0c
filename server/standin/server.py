"""The stand-in itself: wires its parts, listens on a port, and publishes as time goes by."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from socket import AF_INET, AF_INET6, create_server

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from server.standin.accounts.tokens import TokenDesk
from server.standin.catalogue.catalogue import Catalogue
from server.standin.catalogue.spotify_objects import Json
from server.standin.faults.active_faults import ActiveFaults
from server.standin.faults.definitions import Fault
from server.standin.faults.quotas import Quotas
from server.standin.faults.responses import Answer
from server.standin.handler import query_of
from server.standin.public_pages import NotFoundHandler
from server.standin.routes import ROUTES
from server.standin.world import AppKind, Call, Listener, World


def utc_now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class StandIn:
    """Spotify's accounts service, Web API and covers, imitated on one port of this machine.

    `kind` decides what the Web API allows; without a `catalogue` one is generated for the
    clock's day. `publish_every` is in seconds; None publishes only when `publish` is called.
    `faults` stand from the start, their dice follow from `seed`. `quota` calls an endpoint are
    allowed in 24 hours and `rate_limit` calls in 30 seconds; None is no limit. `unlaunched` markets
    are refused, as are all that are not in `markets.MARKETS`.
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
        faults: Sequence[Fault] = (),
        seed: int = 1,
        quota: int | None = None,
        rate_limit: int | None = None,
        unlaunched: Collection[str] = (),
        calls_kept: int = 10_000,
    ) -> None:
        self.world = World(
            kind=kind,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=redirect_uris,
            catalogue=catalogue or Catalogue.generate(today=clock().astimezone(UTC).date()),
            clock=clock,
            desk=TokenDesk(client_secret, clock),
            faults=ActiveFaults(seed, faults),
            quotas=Quotas(quota, rate_limit, clock),
            unlaunched=unlaunched,
        )
        self.calls: deque[Call] = deque(maxlen=calls_kept)
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
        await self.world.wire.close()

    @property
    def accounts_url(self) -> str:
        """Where the accounts service is, without a slash at the end."""
        return self.world.base_url

    @property
    def api_url(self) -> str:
        """Where the Web API is, without a slash at the end."""
        return f"{self.world.base_url}/v1"

    @property
    def kind(self) -> AppKind:
        """What the Web API allows, from now on."""
        return self.world.kind

    @kind.setter
    def kind(self, kind: AppKind) -> None:
        self.world.kind = kind

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

    @property
    def unlaunched(self) -> Collection[str]:
        """The markets that the Web API refuses from now on."""
        return self.world.unlaunched

    @unlaunched.setter
    def unlaunched(self, markets: Collection[str]) -> None:
        self.world.unlaunched = markets

    def calls_to(self, path_prefix: str) -> int:
        """How many of the requests on record asked for a path that starts so."""
        return sum(call.path.startswith(path_prefix) for call in self.calls)

    def answer_next(self, path: str, answer: Answer, times: int = 1) -> None:
        """Let the next `times` requests of exactly this path, query apart, get this answer."""
        self.world.script.setdefault(path, []).extend([answer] * times)

    def misbehave(
        self,
        fault: str,
        path: str = "/v1/",
        times: int | None = 1,
        after: int = 0,
        rate: float = 1.0,
        retry_after: int | str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Put down a fault for the requests to come; raises ValueError for one that cannot be."""
        self.world.faults.add(Fault(fault, path, times, after, rate, retry_after, seconds))

    def behave(self) -> None:
        """Take all faults away; what is being played goes on."""
        self.world.faults.clear()

    @property
    def lockouts(self) -> int:
        """How many times an endpoint was blocked for having used up its quota."""
        return self.world.quotas.lockouts

    @property
    def prolonged(self) -> int:
        """How many calls came to a blocked endpoint, each of which prolonged the block."""
        return self.world.quotas.prolonged

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
        status, now = handler.get_status(), self.world.clock()
        call = Call(request.method or "", request.path, query, status, now)
        self.calls.append(call)

    def _application(self) -> Application:
        world = {"world": self.world}
        return Application(
            [(pattern, handler, world) for pattern, handler in ROUTES],
            default_handler_class=NotFoundHandler,
            default_handler_args=world,
            log_function=self._record,
        )


def _reachable(host: str) -> str:
    """The host part of an address that leads to a socket bound to `host`."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - told apart, not bound
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host
