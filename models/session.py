"""Sessions of logged-in browsers."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class BrowserSession(Base):
    """A session; only the SHA-256 of its token is stored, so that the table grants no access."""

    __tablename__ = "sessions"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(
        ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE"), index=True
    )
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SpentState(Base):
    """The SHA-256 of a state; after `expires_at` the state is refused for its age anyway."""

    __tablename__ = "spent_states"

    state_hash: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
