"""Keys with which scripts, feed readers and calendars read and manage what is private."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Surrogate


class AccessKey(Surrogate, Base):
    """A key; only its SHA-256 is stored, so that the table grants no access.

    `account_id` is the account that made it, with which it is deleted; null for a key made by a
    command, which acts for the server. `scopes` are of `read`, `sync` and `manage`; `hint` is the
    beginning of the key, by which its owner recognises it.
    """

    __tablename__ = "access_keys"

    account_id: Mapped[str | None] = mapped_column(
        ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE"), index=True
    )
    name: Mapped[str]
    scopes: Mapped[list[str]]
    hint: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
