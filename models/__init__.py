"""The tables, one module each: columns, keys and indexes, no queries.

Begin with `album.py` and `artist.py`; `listing.py` and `change.py` are their history. `base.py` has
the types and the names of constraints. Migrations in `alembic/` create the tables. Imports
SQLAlchemy only, nothing else of this program.
"""

from models.album import Album
from models.album_artist import AlbumArtist
from models.artist import Artist
from models.base import Base
from models.change import Change, JournalFloor
from models.cooldown import Cooldown
from models.listing import Listing
from models.login import Login
from models.quota import Quota
from models.session import BrowserSession
from models.source import Source
from models.spent_state import SpentState
from models.sync_run import SyncRun

__all__ = [
    "Album",
    "AlbumArtist",
    "Artist",
    "Base",
    "BrowserSession",
    "Change",
    "Cooldown",
    "JournalFloor",
    "Listing",
    "Login",
    "Quota",
    "Source",
    "SpentState",
    "SyncRun",
]
