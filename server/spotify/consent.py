"""The six months of a consent, after which its refresh token expires, used or not. Pure.

Source: developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens (since 2026-07-20).
"""

from calendar import monthrange
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

MONTHS = 6
REMIND_FROM = 30  # days before the end

ConsentState = Literal["active", "consent_needed", "unreadable"]


@dataclass(frozen=True)
class Consent:
    """The consent of a user: its scopes and its time; `reason` is why Spotify ended it.

    The state `unreadable` means that its tokens are encrypted with a key that SECRET does not have.
    """

    account_id: str
    state: ConsentState
    scopes: tuple[str, ...]
    authorized_at: datetime
    reason: str | None = None

    @property
    def ends_at(self) -> datetime:
        """When the consent expires."""
        return end_of_consent(self.authorized_at)

    def lacks(self, scopes: Collection[str]) -> list[str]:
        """Return those of `scopes` that the user has not granted."""
        return [scope for scope in scopes if scope not in self.scopes]

    def has_ended(self, now: datetime) -> bool:
        """Whether Spotify has ended the consent, or its six months are over."""
        return self.state == "consent_needed" or now >= self.ends_at

    def days_left(self, now: datetime) -> int:
        """Return the whole days until a new consent is needed, never less than 0."""
        return 0 if self.has_ended(now) else (self.ends_at - now) // timedelta(days=1)


def end_of_consent(authorized_at: datetime) -> datetime:
    """Add six calendar months; the last day of the month if it has no such day."""
    months = authorized_at.year * 12 + authorized_at.month - 1 + MONTHS
    year, month = months // 12, months % 12 + 1
    day = min(authorized_at.day, monthrange(year, month)[1])
    return authorized_at.replace(year=year, month=month, day=day)
