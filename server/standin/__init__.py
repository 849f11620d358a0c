"""A stand-in for Spotify: accounts service, Web API and covers, for the demo and the tests."""

from server.standin.catalogue.catalogue import Catalogue
from server.standin.faults.answers import Answer
from server.standin.faults.faults import Fault, read_faults
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
