"""What all feed formats share: the feed's own data, and addresses of artists. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from server.catalog.release import Release


@dataclass(frozen=True)
class Channel:
    """A page of a feed: its own URL and its server's, both absolute, and when its data changed.

    `following` is the URL of the next page, if any; `first` that of the first page, None on it.
    """

    url: str
    home: str
    updated: datetime | None
    following: str | None = None
    title: str = "New releases on Spotify"
    first: str | None = None

    @property
    def identity(self) -> str:
        """What names the feed on all of its pages: the URL of the first one."""
        return self.first or self.url


@dataclass(frozen=True)
class Format:
    """A feed format: its writer, the media type of the response, and the name of a download."""

    write: Callable[[Channel, Sequence[Release]], bytes]
    content_type: str
    filename: str | None = None


def artist_url(spotify_id: str) -> str:
    """Return the URL of an artist's page on Spotify."""
    return f"https://open.spotify.com/artist/{spotify_id}"
