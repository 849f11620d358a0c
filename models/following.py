"""The artists that an account follows on Spotify, and those that are watched or ignored by hand."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Surrogate


class FollowedList(Base):
    """The state of an account's list: when it was last read whole, and last tried.

    `error` is why the last try failed, null if it did not.
    """

    __tablename__ = "followed_lists"

    account_id: Mapped[str] = mapped_column(
        ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    read_at: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    error: Mapped[str | None]


class FollowedArtist(Base):
    """One artist in an account's list; `artist` is Spotify's id, `position` counts from 0.

    `followed_at` is when Freshet first saw it there; `unfollowed_at` when it was no longer there,
    null while the account follows the artist.
    """

    __tablename__ = "followed_artists"

    account_id: Mapped[str] = mapped_column(
        ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    artist: Mapped[str] = mapped_column(primary_key=True, index=True)
    name: Mapped[str]
    position: Mapped[int]
    followed_at: Mapped[datetime]
    unfollowed_at: Mapped[datetime | None]


class ChosenArtist(Surrogate, Base):
    """One choice, `watched` or `ignored`, of an artist by Spotify's id.

    `account_id` is the account that made it, with which it is deleted; null for the choices of the
    server itself, by a command or by a key that belongs to no account. `name` is null until known.
    """

    __tablename__ = "chosen_artists"

    account_id: Mapped[str | None] = mapped_column(
        ForeignKey("logins.account_id", ondelete="CASCADE", onupdate="CASCADE")
    )
    artist: Mapped[str] = mapped_column(index=True)
    name: Mapped[str | None]
    choice: Mapped[str]
    chosen_at: Mapped[datetime]


Index(
    "uq_chosen_artists_owner",
    func.coalesce(ChosenArtist.account_id, ""),
    ChosenArtist.artist,
    unique=True,
)
