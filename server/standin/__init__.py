"""A stand-in for Spotify: accounts service, Web API and covers, for the demo and the tests.

Begin with `server.py` (the `StandIn` class) and `routes.py`. `accounts/` imitates the accounts
service, `web_api/` the Web API, `catalogue/` generates its data, `artwork/` its covers, and
`faults/` the failures that tests and faults files ask for. Imports nothing of Freshet.
"""

from server.standin.catalogue.catalogue import Catalogue
from server.standin.faults.definitions import Fault, read_faults
from server.standin.faults.responses import Answer
from server.standin.server import StandIn
from server.standin.world import AppKind, ArtistSearch, Call, Listener

__all__ = [
    "Answer",
    "AppKind",
    "ArtistSearch",
    "Call",
    "Catalogue",
    "Fault",
    "Listener",
    "StandIn",
    "read_faults",
]
