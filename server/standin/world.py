"""The state that the stand-in's request handlers share: settings, tokens, catalogue, faults."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.standin.accounts.tokens import TokenIssuer
from server.standin.catalogue.catalogue import Catalogue
from server.standin.faults.active_faults import ActiveFaults
from server.standin.faults.connection_faults import FaultyConnections
from server.standin.faults.quotas import Quotas
from server.standin.faults.responses import Answer


class AppKind(StrEnum):
    """What Spotify allows an app: development mode is restricted, extended quota mode is not."""

    RESTRICTED = "restricted"
    EXTENDED = "extended"


class ArtistSearch(StrEnum):
    """What a search for `tag:new artist:"NAME"` finds; what Spotify does for new apps is unknown.

    WORKS finds the artist's new albums, EMPTY nothing, IGNORED all new albums whoever made them.
    """

    WORKS = "works"
    EMPTY = "empty"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Call:
    """A request that the stand-in has answered, `at` a time by its clock.

    The last value of a repeated query parameter counts; `status` 0 means that no status was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    status: int
    at: datetime


@dataclass(frozen=True)
class Listener:
    """The person who agrees on the consent page."""

    account_id: str = "standin-account-1"
    id: str = "standin-listener"
    display_name: str = "Robin of the Stand-in"


@dataclass
class World:
    """The state of one stand-in; `base_url` is its own address, known once it listens.

    Links to covers and pages begin with `shown_url`, or with `base_url` while that is empty.
    `unlaunched` are markets that the Web API refuses, besides those that it does not know.
    `etags_by_token` makes the ETag of an answer change with the access token.
    """

    kind: AppKind
    client_id: str
    client_secret: str
    redirect_uris: Collection[str]
    catalogue: Catalogue
    clock: Callable[[], datetime]
    tokens: TokenIssuer
    faults: ActiveFaults
    quotas: Quotas
    faulty_connections: FaultyConnections = field(default_factory=FaultyConnections)
    listener: Listener = field(default_factory=Listener)
    base_url: str = ""
    shown_url: str = ""
    unlaunched: Collection[str] = ()
    artist_search: ArtistSearch = ArtistSearch.WORKS
    etags_by_token: bool = False
    script: dict[str, list[Answer]] = field(default_factory=dict)

    @property
    def restricted(self) -> bool:
        """Whether the app is limited to what a development-mode app may do."""
        return self.kind is AppKind.RESTRICTED

    def scripted(self, path: str) -> Answer | None:
        """Return the next scripted response for exactly this path, None if there is none."""
        waiting = self.script.get(path)
        return waiting.pop(0) if waiting else None
