"""Whose token it is: `GET /me`.

Source: developer.spotify.com/documentation/web-api/reference/get-current-users-profile.
"""

from dataclasses import dataclass
from typing import Any

from server.errors import BadAnswer
from server.spotify.transport import quotable

APP_PREFIX = "app:"  # what the row of the app's own token is called; nobody else may be
LONGEST_ID = 200


@dataclass(frozen=True)
class Profile:
    """An account: `account_id` is immutable (since May 2026), `user_id` is its older, public id.

    At least one of the two is there.
    """

    account_id: str | None
    user_id: str | None
    display_name: str | None

    @property
    def key(self) -> str:
        """The id the account is kept under."""
        return self.account_id or self.user_id or ""

    @property
    def ids(self) -> frozenset[str]:
        """Every id it is known by."""
        return frozenset(each for each in (self.account_id, self.user_id) if each)


def read_profile(answer: dict[str, Any]) -> Profile:
    """Read the answer. Raises BadAnswer if it names nobody."""
    name = answer.get("display_name")
    profile = Profile(
        account_id=_id(answer.get("account_id")),
        user_id=_id(answer.get("id")),
        display_name=quotable(name) or None if isinstance(name, str) else None,
    )
    if not profile.key:
        raise BadAnswer("a profile without account_id and id")
    return profile


def _id(value: object) -> str | None:
    usable = (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_ID
        and value.isprintable()
        and not value.startswith(APP_PREFIX)
    )
    return str(value) if usable else None
