"""The stand-in's server: wires the parts, listens on a port, publishes releases over time."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from socket import AF_INET, AF_INET6, create_server

from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.web import Application, RequestHandler

from server.standin.accounts.tokens import TokenIssuer
from server.standin.catalogue.catalogue import Catalogue
from server.standin.catalogue.spotify_objects import Json
from server.standin.faults.active_faults import ActiveFaults
from server.standin.faults.definitions import Fault
from server.standin.faults.quotas import PauseModel, Quota, Quotas
from server.standin.faults.responses import Answer
from server.standin.handler import query_of
from server.standin.public_pages import NotFoundHandler
from server.standin.routes import ROUTES
from server.standin.world import AppKind, ArtistSearch, Call, Listener, World


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class StandIn:
    """Spotify's accounts service, Web API and covers, imitated on one port of this machine.

    `kind` decides what the Web API allows; without a `catalogue`, one is generated for the clock's
    day. Every `publish_every` seconds a release is published; None publishes only when `publish` is
    called. Every `follow_every` seconds each listener follows another artist, or one fewer.
    `faults` are active from the start; their randomness follows from `seed`. `quota`, `rate_limit`,
    `pause_model` and `burst` limit calls as in `Quotas`. `unlaunched` markets are refused, as are
    all that are not in `releases.MARKETS`. `artist_search` is what a search for the new albums of
    one artist finds. The last `calls_kept` calls are
    recorded.
    """

    def __init__(
        self,
        *,
        kind: AppKind = AppKind.RESTRICTED,
        client_id: str = "standin-client",
        client_secret: str = "standin-secret",  # noqa: S107 - protects invented data only
        redirect_uris: Collection[str] = ("http://127.0.0.1:5000/auth/callback/",),
        catalogue: Catalogue | None = None,
        clock: Callable[[], datetime] = utc_now,
        publish_every: float | None = None,
        follow_every: float | None = None,
        faults: Sequence[Fault] = (),
        seed: int = 1,
        quota: Quota = None,
        rate_limit: int | None = None,
        pause_model: PauseModel = "fixed",
        burst: int | None = None,
        unlaunched: Collection[str] = (),
        artist_search: ArtistSearch = ArtistSearch.WORKS,
        calls_kept: int = 10_000,
    ) -> None:
        self.world = World(
            kind=kind,
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=redirect_uris,
            catalogue=catalogue or _generated(clock().astimezone(UTC).date()),
            clock=clock,
            tokens=TokenIssuer(client_secret, clock),
            faults=ActiveFaults(seed, faults),
            quotas=Quotas(quota, rate_limit, clock, pause_model, burst),
            unlaunched=unlaunched,
            artist_search=artist_search,
        )
        self.calls: deque[Call] = deque(maxlen=calls_kept)
        self.port = 0
        self._server: HTTPServer | None = None
        self._periodic = [
            PeriodicCallback(function, seconds * 1000)
            for function, seconds in (
                (self._publish, publish_every),
                (self._reconsider, follow_every),
            )
            if seconds
        ]

    def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on the current IOLoop; port 0 takes a free port.

        Raises OSError if the port is in use.
        """
        # Not tornado.netutil.bind_sockets: if the port is busy, it leaks its socket.
        family = AF_INET6 if ":" in host else AF_INET
        listening = create_server((host, port), family=family, backlog=128)
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self.world.base_url = f"http://{_reachable(host)}:{self.port}"
        self._server = HTTPServer(self._application())
        self._server.add_socket(listening)
        for callback in self._periodic:
            callback.start()

    async def stop(self) -> None:
        """Stop publishing and listening, and close all connections."""
        for callback in self._periodic:
            callback.stop()
        if self._server:
            self._server.stop()
            await self._server.close_all_connections()
            self._server = None
        await self.world.faulty_connections.close()

    @property
    def accounts_url(self) -> str:
        """The address of the accounts service, without a slash at the end."""
        return self.world.base_url

    @property
    def api_url(self) -> str:
        """The address of the Web API, without a slash at the end."""
        return f"{self.world.base_url}/v1"

    @property
    def kind(self) -> AppKind:
        """What the Web API allows from now on."""
        return self.world.kind

    @kind.setter
    def kind(self, kind: AppKind) -> None:
        self.world.kind = kind

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue; tests may change or replace it."""
        return self.world.catalogue

    @catalogue.setter
    def catalogue(self, catalogue: Catalogue) -> None:
        self.world.catalogue = catalogue

    @property
    def listener(self) -> Listener:
        """The person on the consent page from now on; earlier tokens keep theirs."""
        return self.world.listener

    @listener.setter
    def listener(self, listener: Listener) -> None:
        self.world.listener = listener

    @property
    def rotate_refresh_tokens(self) -> bool:
        """Whether a refresh issues a new refresh token and revokes the old one; default False."""
        return self.world.tokens.rotate

    @rotate_refresh_tokens.setter
    def rotate_refresh_tokens(self, rotate: bool) -> None:
        self.world.tokens.rotate = rotate

    @property
    def unlaunched(self) -> Collection[str]:
        """The markets that the Web API refuses from now on."""
        return self.world.unlaunched

    @unlaunched.setter
    def unlaunched(self, markets: Collection[str]) -> None:
        self.world.unlaunched = markets

    @property
    def artist_search(self) -> ArtistSearch:
        """What a search for the new albums of one artist finds from now on."""
        return self.world.artist_search

    @artist_search.setter
    def artist_search(self, artist_search: ArtistSearch) -> None:
        self.world.artist_search = artist_search

    @property
    def etags_by_token(self) -> bool:
        """Whether the ETag of an answer changes with the access token; default False."""
        return self.world.etags_by_token

    @etags_by_token.setter
    def etags_by_token(self, by_token: bool) -> None:
        self.world.etags_by_token = by_token

    def calls_to(self, path_prefix: str) -> int:
        """Return how many of the recorded requests have a path with this prefix."""
        return sum(call.path.startswith(path_prefix) for call in self.calls)

    def answer_next(self, path: str, answer: Answer, times: int = 1) -> None:
        """Send `answer` to the next `times` requests with exactly this path and any query."""
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
        """Simulate a fault for the requests to come, with the fields of `Fault`.

        Raises ValueError if one is invalid.
        """
        self.world.faults.add(Fault(fault, path, times, after, rate, retry_after, seconds))

    def behave(self) -> None:
        """Remove all faults; those that have started on a connection continue."""
        self.world.faults.clear()

    @property
    def lockouts(self) -> int:
        """How many times an endpoint was blocked because its quota was used up."""
        return self.world.quotas.lockouts

    @property
    def prolonged(self) -> int:
        """How many calls reached a blocked endpoint, whether or not that prolonged the block."""
        return self.world.quotas.prolonged

    def expire_tokens(self) -> None:
        """Answer every access token issued so far as expired."""
        self.world.tokens.revoke_all("access")

    def revoke_refresh_tokens(self) -> None:
        """Answer every refresh token issued so far as revoked."""
        self.world.tokens.revoke_all("refresh")

    def publish(self) -> Json:
        """Add a new release, dated today by the clock, at the top of the listing; return it."""
        return self.world.catalogue.publish(self.world.clock())

    def _publish(self) -> None:
        self.publish()

    def _reconsider(self) -> None:
        self.catalogue.reconsider()

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


def _generated(today: date) -> Catalogue:
    catalogue = Catalogue.generate(today=today)
    catalogue.invent_records(today)
    return catalogue


def _reachable(host: str) -> str:
    """Return the host part of a URL that reaches a socket bound to `host`."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound
        return "127.0.0.1" if host != "::" else "[::1]"
    return f"[{host}]" if ":" in host else host
