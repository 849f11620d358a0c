"""The profile of a token's owner: `GET /me`, parsed. Pure.

Source: developer.spotify.com/documentation/web-api/reference/get-current-users-profile.
"""

from dataclasses import dataclass
from typing import Any

from server.errors import BadAnswer
from server.spotify.quotation import quotable

APP_PREFIX = "app:"  # of the account_id in the row of the app's own token; reserved for it
USER_PREFIX = "id:"  # distinguishes an older id from an account_id, which may be the same text
MAX_ID_LENGTH = 200  # characters


@dataclass(frozen=True)
class Profile:
    """An account: `account_id` is immutable (since May 2026), `user_id` is its older, public id.

    At least one of the two is present. The `id` of one account may be the `account_id` of another,
    so an `id` has a prefix wherever accounts are named and compared: `id:robin`.
    """

    account_id: str | None
    user_id: str | None
    display_name: str | None

    @property
    def key(self) -> str:
        """The name under which the account is stored; empty if it has no id."""
        return self.account_id or (name_of_user(self.user_id) if self.user_id else "")

    @property
    def names(self) -> frozenset[str]:
        """Every name by which ALLOWED_USERS may list the account."""
        by_user_id = {name_of_user(self.user_id)} if self.user_id else set()
        return frozenset(by_user_id | ({self.account_id} if self.account_id else set()))


def name_of_user(user_id: str) -> str:
    """Return the name of an account whose older `id` is known: the id with its prefix."""
    return USER_PREFIX + user_id


def read_profile(answer: dict[str, Any]) -> Profile:
    """Parse the answer of `GET /me`. Raises BadAnswer if it has no usable id."""
    name = answer.get("display_name")
    profile = Profile(
        account_id=_id(answer.get("account_id")),
        user_id=_id(answer.get("id")),
        display_name=quotable(name) or None if isinstance(name, str) else None,
    )
    if not profile.key:
        raise BadAnswer("the profile has neither account_id nor id")
    return profile


def _id(value: object) -> str | None:
    usable = (
        isinstance(value, str)
        and 0 < len(value) <= MAX_ID_LENGTH
        and value.isprintable()
        and not value.startswith((APP_PREFIX, USER_PREFIX))
    )
    return str(value) if usable else None
