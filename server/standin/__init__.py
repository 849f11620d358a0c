"""A stand-in for Spotify: accounts service, Web API and covers, for the demo and the tests."""

from server.standin.catalogue.catalogue import Catalogue
from server.standin.faults.definitions import Fault, read_faults
from server.standin.faults.responses import Answer
from server.standin.server import StandIn
from server.standin.world import AppKind, Call, Listener

__all__ = [
    "Answer",
    "AppKind",
    "Call",
    "Catalogue",
    "Fault",
    "Listener",
    "StandIn",
    "read_faults",
]
