"""A stand-in for Spotify: accounts service, Web API and covers, for the demo and the tests."""

from server.spotify.standin.answers import Answer
from server.spotify.standin.catalogue import Catalogue
from server.spotify.standin.faults import Fault, read_faults
from server.spotify.standin.server import StandIn
from server.spotify.standin.world import AppKind, Call, Listener

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
