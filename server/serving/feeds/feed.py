"""What feeds tell of themselves. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Channel:
    """A feed: its own address and its server's, both absolute, and when its data last changed."""

    url: str
    home: str
    updated: datetime | None
    following: str | None = None
    title: str = "New releases on Spotify"
