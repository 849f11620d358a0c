"""What the stand-in's request handlers share: its settings, its memory, script and faults."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from server.standin.accounts.tokens import TokenDesk
from server.standin.catalogue.catalogue import Catalogue
from server.standin.faults.active_faults import ActiveFaults
from server.standin.faults.connection_faults import Wire
from server.standin.faults.quotas import Quotas
from server.standin.faults.responses import Answer


class AppKind(StrEnum):
    """What Spotify allows an app: told apart only by its answers."""

    RESTRICTED = "restricted"
    EXTENDED = "extended"


@dataclass(frozen=True)
class Call:
    """A request that was answered `at` that time by the stand-in's clock.

    Of a repeated query parameter the last value counts; `status` 0 means that none was sent.
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

    Links to covers and pages begin with `shown_url`, or with `base_url` as long as that is empty.

    `unlaunched` are markets that the Web API refuses, beside those that it does not know.
    """

    kind: AppKind
    client_id: str
    client_secret: str
    redirect_uris: Collection[str]
    catalogue: Catalogue
    clock: Callable[[], datetime]
    desk: TokenDesk
    faults: ActiveFaults
    quotas: Quotas
    wire: Wire = field(default_factory=Wire)
    listener: Listener = field(default_factory=Listener)
    base_url: str = ""
    shown_url: str = ""
    unlaunched: Collection[str] = ()
    script: dict[str, list[Answer]] = field(default_factory=dict)

    @property
    def restricted(self) -> bool:
        """Whether the app gets only what a development-mode app gets."""
        return self.kind is AppKind.RESTRICTED

    def scripted(self, path: str) -> Answer | None:
        """The next answer that a test has put down for exactly this path, None without one."""
        waiting = self.script.get(path)
        return waiting.pop(0) if waiting else None
