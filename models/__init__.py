"""The tables: columns, keys and indexes, no queries.

Begin with `album.py` and `artist.py`; `listing.py` and `change.py` are their history. `base.py` has
the types and the names of constraints. Migrations in `alembic/` create the tables. Imports
SQLAlchemy only, nothing else of this program.
"""

from models.access_key import AccessKey
from models.album import Album, FormerAlbum
from models.album_artist import AlbumArtist
from models.artist import Artist, FormerArtist
from models.artist_check import ArtistCheck, ArtistSchedule
from models.base import Base
from models.change import Change, JournalFloor
from models.following import ChosenArtist, FollowedArtist, FollowedList
from models.limits import Ceiling, Cooldown, Quota
from models.listing import Listing
from models.login import Login
from models.session import BrowserSession, SpentState
from models.source import Source
from models.sync_run import SyncRun

__all__ = [
    "AccessKey",
    "Album",
    "AlbumArtist",
    "Artist",
    "ArtistCheck",
    "ArtistSchedule",
    "Base",
    "BrowserSession",
    "Ceiling",
    "Change",
    "ChosenArtist",
    "Cooldown",
    "FollowedArtist",
    "FollowedList",
    "FormerAlbum",
    "FormerArtist",
    "JournalFloor",
    "Listing",
    "Login",
    "Quota",
    "Source",
    "SpentState",
    "SyncRun",
]
