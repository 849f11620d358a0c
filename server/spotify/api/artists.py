"""Artists' details: fifty with one call where the app may do that, otherwise one by one.

Source: developer.spotify.com/documentation/web-api/reference/get-multiple-artists, refused to apps
in development mode since February 2026, and …/get-an-artist.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from server.errors import BadAnswer, EndpointRestricted
from server.spotify.api.client import SpotifyClient
from server.spotify.object_parser import ArtistDetails, parse_artists
from server.spotify.types import Verdict

MAX_IDS = 50  # in one call


class ArtistLookup:
    """Fetches artists by id. `verdict` says whether this app may fetch several with one call."""

    def __init__(self, client: SpotifyClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self.verdict: Verdict | None = None

    @property
    def client_id(self) -> str:
        """The client id of the app that calls."""
        return self._client.client_id

    @property
    def max_ids(self) -> int:
        """The largest number of ids that the next call may have."""
        known = self.verdict
        if known is None or known.allowed:
            return MAX_IDS
        return MAX_IDS if known.is_due(self._now()) else 1

    async def fetch(self, ids: Sequence[str]) -> list[ArtistDetails] | None:
        """Fetch the details of up to `max_ids` artists, without those that Spotify does not know.

        Returns None if Spotify refused several ids in one call. `verdict` says so from then on, so
        the caller tries again with fewer. Raises a SpotifyError.
        """
        if len(ids) > 1:
            return await self._many(ids)
        try:
            return parse_artists([await self._client.get(f"/artists/{ids[0]}")])
        except EndpointRestricted as error:
            if error.missing:
                return []
            raise

    async def _many(self, ids: Sequence[str]) -> list[ArtistDetails] | None:
        try:
            answer = await self._client.get("/artists", ids=",".join(ids))
        except EndpointRestricted as error:
            self.verdict = Verdict(False, str(error), self._now())
            return None
        self.verdict = Verdict(True, None, self._now())
        artists = answer.get("artists")
        if not isinstance(artists, list):
            raise BadAnswer("an answer without artists")
        return parse_artists(artists)
