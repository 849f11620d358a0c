"""The Web API's listener: profile and followed artists, for user tokens only."""

from server.standin.catalogue.spotify_objects import ORIGIN, Json, full_artist
from server.standin.web_api.base import ApiHandler
from server.standin.web_api.library import FOLLOW_MODIFY, FOLLOW_READ, FollowedIdsHandler
from server.standin.web_api.paging import BadRequestError, href, window


class MeHandler(ApiHandler):
    """GET /v1/me."""

    def get(self) -> None:
        """Send the profile of the token's user; scopes decide which fields it has."""
        if self.token.user is None:
            self.send_error_object(401, "Valid user authentication required")
            return
        user = dict(self.token.user)
        profile: Json = user | {
            "external_urls": {"spotify": f"{ORIGIN}/open/user/{user['id']}"},
            "followers": {"href": None, "total": 7},
            "href": f"{ORIGIN}/v1/users/{user['id']}",
            "images": [],
            "type": "user",
            "uri": f"spotify:user:{user['id']}",
        }
        if "user-read-private" in self.token.scopes:
            filter_settings = {"filter_enabled": False, "filter_locked": False}
            profile |= {"country": "GB", "product": "premium", "explicit_content": filter_settings}
        if "user-read-email" in self.token.scopes:
            profile["email"] = f"{user['id']}@standin.invalid"
        self.send_object(profile)


class FollowingHandler(FollowedIdsHandler):
    """GET /v1/me/following?type=artist, paged by a cursor: `after` is the last id seen.

    PUT and DELETE follow and unfollow the artists in `ids`.
    """

    @property
    def paged(self) -> bool:
        """Always True."""
        return True

    def get(self) -> None:
        """Send the followed artists whose id comes after the cursor, sorted by id."""
        if self.lacks(FOLLOW_READ):
            return
        if self.query.get("type") != "artist":
            raise BadRequestError("Invalid type")
        limit = window(self.query, default=20, most=50).limit
        followed = self.world.catalogue.followed(self.account_id)
        after = self.query.get("after", "")
        left = [artist for artist in followed if artist["id"] > after]
        shown = left[:limit]
        cursor = shown[-1]["id"] if len(left) > limit else None
        page = self._page(shown, limit, after, cursor, len(followed))
        self.send_object({"artists": self.with_page_fault(page)})

    def put(self) -> None:
        """Follow artists."""
        if not self.refused(FOLLOW_MODIFY):
            self.change(self.ids(), follow=True)
            self.set_status(204)

    def delete(self) -> None:
        """Unfollow artists."""
        if not self.refused(FOLLOW_MODIFY):
            self.change(self.ids(), follow=False)
            self.set_status(204)

    def _page(
        self, shown: list[Json], limit: int, after: str, cursor: str | None, total: int
    ) -> Json:
        def link(position: str) -> str:
            query = {"type": "artist"} | ({"after": position} if position else {})
            return href(f"{ORIGIN}/v1/me/following", query | {"limit": str(limit)})

        return {
            "cursors": {"after": cursor},
            "href": link(after),
            "items": [full_artist(artist) for artist in shown],
            "limit": limit,
            "next": link(cursor) if cursor else None,
            "total": total,
        }
