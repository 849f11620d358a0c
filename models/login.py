"""Spotify tokens, encrypted: those of a user's login, or the app's own."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Login(Base):
    """One grant; the app's own token has the account id `app:CLIENT_ID`.

    `account_id` is Spotify's immutable id of the account, `user_id` the older, public one.
    `authorized_at` is the user's consent, six months after which the refresh token expires; null
    for the app. `state` is active or consent_needed, `reason` why it is not active. `reminded_at`
    is when the expiry was last logged. The tokens are Fernet ciphertext.
    """

    __tablename__ = "logins"

    account_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str | None]
    display_name: Mapped[str | None]
    scopes: Mapped[list[str]]
    access_token: Mapped[bytes | None]
    refresh_token: Mapped[bytes | None]
    expires_at: Mapped[datetime | None]
    authorized_at: Mapped[datetime | None]
    state: Mapped[str]
    reason: Mapped[str | None]
    reminded_at: Mapped[datetime | None]
