"""The Web API's library and its older twins: follow and unfollow, and ask who is followed.

Since February 2026 an app in development mode follows artists through `/me/library`; the endpoints
of `/me/following` that change or test it are refused, and `/me/library` has no GET (observed).
"""

from typing import Final

from server.standin.web_api.base import ApiHandler
from server.standin.web_api.paging import BadRequestError

FOLLOW_READ: Final = "user-follow-read"
FOLLOW_MODIFY: Final = "user-follow-modify"
_ARTIST: Final = "spotify:artist:"
_MOST_URIS: Final = 40
_MOST_IDS: Final = 50


class FollowHandler(ApiHandler):
    """The base of what reads or changes whom the token's user follows."""

    @property
    def account_id(self) -> str | None:
        """The account of the token's user."""
        return self.token.user["account_id"] if self.token.user else None

    def lacks(self, scope: str) -> bool:
        """Return whether the token lacks a scope, after sending 403 if it does."""
        if scope in self.token.scopes:
            return False
        self.send_error_object(403, "Insufficient client scope")
        return True

    def change(self, artist_ids: list[str], *, follow: bool) -> None:
        """Follow or unfollow artists."""
        following = self.world.catalogue.following
        choose = following.follow if follow else following.unfollow
        choose(*artist_ids, account_id=self.account_id)

    def follows(self, artist_ids: list[str]) -> list[bool]:
        """Return for each artist whether the user follows it."""
        followed = {artist["id"] for artist in self.world.catalogue.followed(self.account_id)}
        return [artist_id in followed for artist_id in artist_ids]


class LibraryHandler(FollowHandler):
    """PUT and DELETE /v1/me/library?uris=, of which artists are supported."""

    def get(self) -> None:
        """Send 405, as Spotify does."""
        self.send_error_object(405, "Method not allowed")

    def put(self) -> None:
        """Follow artists."""
        self._change(follow=True)

    def delete(self) -> None:
        """Unfollow artists."""
        self._change(follow=False)

    def _change(self, *, follow: bool) -> None:
        if not self.lacks(FOLLOW_MODIFY):
            self.change(self.artists(), follow=follow)
            self.finish()

    def artists(self) -> list[str]:
        """Return the ids in `uris`. Raises BadRequestError for none, more than 40 or others."""
        uris = [uri for uri in self.query.get("uris", "").split(",") if uri]
        if not uris:
            raise BadRequestError("Missing required field: uris")
        if len(uris) > _MOST_URIS:
            raise BadRequestError("Too many uris requested")
        if not all(uri.startswith(_ARTIST) for uri in uris):
            raise BadRequestError("Invalid uri")
        return [uri.removeprefix(_ARTIST) for uri in uris]


class LibraryContainsHandler(LibraryHandler):
    """GET /v1/me/library/contains?uris=."""

    def get(self) -> None:
        """Send a list of booleans, in the order of the URIs."""
        if not self.lacks(FOLLOW_READ):
            self.send_json(self.follows(self.artists()))

    def put(self) -> None:
        """Send 405."""
        self.send_error_object(405, "Method not allowed")

    delete = put


class FollowedIdsHandler(FollowHandler):
    """The base of endpoints that take artists' ids, which restricted apps may not use."""

    def ids(self) -> list[str]:
        """Return the requested ids. Raises BadRequestError for none or more than 50."""
        ids = [identifier for identifier in self.query.get("ids", "").split(",") if identifier]
        if not ids:
            raise BadRequestError("Missing required field: ids")
        if len(ids) > _MOST_IDS:
            raise BadRequestError("Too many ids requested")
        return ids

    def refused(self, scope: str) -> bool:
        """Return whether the app or its token may not do this, after sending 403 if so."""
        if self.world.restricted:
            self.send_error_object(403, "Forbidden")
            return True
        return self.lacks(scope)


class FollowingContainsHandler(FollowedIdsHandler):
    """GET /v1/me/following/contains?type=artist&ids=."""

    def get(self) -> None:
        """Send a list of booleans, in the order of the ids."""
        if not self.refused(FOLLOW_READ):
            self.send_json(self.follows(self.ids()))
